-- job, holder, milliseconds -> token while `holder` leads; nothing while another one does
local job, holder, milliseconds = key('lead', ARGV[2]), ARGV[3], ARGV[4]
local held = redis.call('GET', job)
if held and held ~= holder then
  return false
end
if not held then
  redis.call('INCR', job .. ':token')
end
redis.call('SET', job, holder, 'PX', milliseconds)
return redis.call('GET', job .. ':token')
