-- -> text of the oldest queued signal, or nothing
local name = redis.call('ZRANGE', key('signals'), 0, 0)[1]
return name and redis.call('HGET', key('signals', 'text'), name)
