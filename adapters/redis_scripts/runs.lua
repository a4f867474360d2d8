-- index (rest of its key), since, limit, filter by outcome ('1' or ''), outcome -> {run, target, opened, closed, outcome, ...}
local index, since, limit, filter, wanted = key(ARGV[2]), ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1', ARGV[6]
local page, offset, found, answer = 100, 0, 0, {}
while found < limit do
  local names = redis.call('ZREVRANGEBYSCORE', index, '+inf', since, 'LIMIT', offset, page)
  for _, run in ipairs(names) do
    local target, opened, closed, outcome =
      unpack(redis.call('HMGET', key('run', run, 'meta'), 'target', 'opened', 'closed', 'outcome'))
    if target and found < limit and (not filter or outcome == wanted) then
      found = found + 1
      for _, value in ipairs({run, target, opened, closed, outcome}) do
        answer[#answer + 1] = value
      end
    end
  end
  if #names < page then
    break
  end
  offset = offset + page
end
return answer
