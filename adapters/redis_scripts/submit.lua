-- name (id|status), text, seconds to remember -> 1 queued; 0 seen before
local name, text, seconds = ARGV[2], ARGV[3], ARGV[4]
if not redis.call('SET', key('seen', name), 1, 'NX', 'EX', seconds) then
  return 0
end
if redis.call('HSETNX', key('signals', 'text'), name, text) == 1 then
  redis.call('ZADD', key('signals'), redis.call('INCR', key('signals', 'count')), name)
end
return 1
