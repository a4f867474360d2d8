-- run, now, milliseconds -> {target, token}, or nothing: not open, not due, or held
local run, now, milliseconds = ARGV[2], tonumber(ARGV[3]), ARGV[4]
if not is_open(run) or redis.call('EXISTS', key('run', run, 'lease')) == 1 then
  return false
end
local due = redis.call('ZSCORE', key('due'), run)
if not due or tonumber(due) > now then
  return false
end
local meta = key('run', run, 'meta')
local token = redis.call('HINCRBY', meta, 'token', 1)
redis.call('SET', key('run', run, 'lease'), token, 'PX', milliseconds)
redis.call('HDEL', meta, 'woken')
redis.call('ZREM', key('sent'), run)
return {redis.call('HGET', meta, 'target'), token}
