-- name (id|status), text, seconds to remember, job, token ('' '' for anybody) -> 1 queued; 0 seen before;
-- -1 somebody else has taken the lead of that job since
local name, text, seconds, job, token = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if job ~= '' and redis.call('GET', key('lead', job, 'token')) ~= token then
  return -1
end
if not redis.call('SET', key('seen', name), 1, 'NX', 'EX', seconds) then
  return 0
end
if redis.call('HSETNX', key('signals', 'text'), name, text) == 1 then
  redis.call('ZADD', key('signals'), redis.call('INCR', key('signals', 'count')), name)
end
return 1
