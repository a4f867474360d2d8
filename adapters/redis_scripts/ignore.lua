-- target, last line ('' none), line, cap -> 1 noted; 0 somebody noted another one since: chain again
local list = key('ignored', ARGV[2])
if (redis.call('LINDEX', list, -1) or '') ~= ARGV[3] then
  return 0
end
redis.call('RPUSH', list, ARGV[4])
redis.call('LTRIM', list, -tonumber(ARGV[5]), -1)
return 1
