-- run, target, opened, due, line, signal, locks as JSON -> 1 opened; 0 target or lock taken; -1 the name is used
local run, target, opened, due, line, signal = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local locks = cjson.decode(ARGV[8])
if redis.call('EXISTS', key('open', target)) == 1 then
  return 0
end
for _, name in ipairs(locks) do
  if redis.call('EXISTS', key('lock', name)) == 1 then
    return 0
  end
end
if redis.call('EXISTS', key('run', run, 'meta')) == 1 then
  return -1
end
redis.call('RPUSH', key('run', run, 'journal'), line)
redis.call('HSET', key('run', run, 'meta'), 'target', target, 'locks', ARGV[8], 'signal', signal,
  'opened', opened, 'closed', '', 'outcome', '', 'token', 0)
redis.call('SET', key('open', target), run)
for _, name in ipairs(locks) do
  redis.call('SET', key('lock', name), run)
end
redis.call('ZADD', key('runs'), opened, run)
redis.call('ZADD', key('runs', 'target', target), opened, run)
redis.call('ZADD', key('runs', 'outcome', ''), opened, run)
set_due(run, due)
return 1
