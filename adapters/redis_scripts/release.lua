-- run, token, due ('' leaves it) -> 1 released; 0 the lease is not held any more and nothing changes
local run, token, due = ARGV[2], ARGV[3], ARGV[4]
if redis.call('GET', key('run', run, 'lease')) ~= token then
  return 0
end
redis.call('DEL', key('run', run, 'lease'))
if due ~= '' and is_open(run) then
  set_due(run, due)
end
return 1
