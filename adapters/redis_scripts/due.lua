-- now, until -> names due at `now`, earliest first, that nobody holds and that were not sent lately; not again before `until`
local now, until_ = tonumber(ARGV[2]), ARGV[3]
local names = {}
for _, run in ipairs(redis.call('ZRANGEBYSCORE', key('due'), '-inf', ARGV[2])) do
  local sent = redis.call('ZSCORE', key('sent'), run)
  local quiet = sent and tonumber(sent) > now
  if not quiet and redis.call('EXISTS', key('run', run, 'lease')) == 0 then
    redis.call('ZADD', key('sent'), until_, run)
    names[#names + 1] = run
  end
end
return names
