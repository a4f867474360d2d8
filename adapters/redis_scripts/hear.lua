-- run, message, at -> 1 heard; 0 the run is not open
local run, message, at = ARGV[2], ARGV[3], ARGV[4]
if not is_open(run) then
  return 0
end
redis.call('RPUSH', key('run', run, 'inbox'), message)
local meta = key('run', run, 'meta')
local woken = redis.call('HGET', meta, 'woken')
if not woken or tonumber(at) < tonumber(woken) then
  redis.call('HSET', meta, 'woken', at)
end
local due = redis.call('ZSCORE', key('due'), run)
set_due(run, due and tonumber(due) < tonumber(at) and due or at)
return 1
