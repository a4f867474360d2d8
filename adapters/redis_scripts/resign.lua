-- job, token -> 1 nobody leads any more; 0 somebody took the lead since
local job, token = key('lead', ARGV[2]), ARGV[3]
if redis.call('GET', job .. ':token') ~= token then
  return 0
end
redis.call('DEL', job)
return 1
