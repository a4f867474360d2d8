-- run, token, expected, heard, due, outcome ('' goes on), closed, lines... -> 'ok', or why it is stale
local run, token, expected, heard, due = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local outcome, closed = ARGV[7], ARGV[8]
local journal, inbox, meta = key('run', run, 'journal'), key('run', run, 'inbox'), key('run', run, 'meta')
if not is_open(run) then
  return 'the run is not open'
end
if redis.call('GET', key('run', run, 'lease')) ~= token then
  return 'lease ' .. token .. ' is no longer held'
end
local length = redis.call('LLEN', journal)
if length ~= expected then
  return 'the journal has ' .. length .. ' records, not ' .. expected
end
if redis.call('LLEN', inbox) < heard then
  return 'the inbox has fewer than ' .. heard .. ' messages'
end
for i = 9, #ARGV do
  redis.call('RPUSH', journal, ARGV[i])
end
redis.call('LTRIM', inbox, heard, -1)
if redis.call('LLEN', inbox) == 0 then
  redis.call('HDEL', meta, 'woken')
end
if outcome == '' then
  set_due(run, due)
  return 'ok'
end
local target, opened, locks = unpack(redis.call('HMGET', meta, 'target', 'opened', 'locks'))
redis.call('HSET', meta, 'outcome', outcome, 'closed', closed)
redis.call('ZREM', key('runs', 'outcome', ''), run)
redis.call('ZADD', key('runs', 'outcome', outcome), opened, run)
redis.call('ZREM', key('due'), run)
redis.call('ZREM', key('sent'), run)
redis.call('DEL', key('open', target), key('run', run, 'lease'))
for _, name in ipairs(cjson.decode(locks)) do
  redis.call('DEL', key('lock', name))
end
return 'ok'
