-- Put before every script of this folder. Each script is one all-or-nothing change.
--
-- Keys are made here from the prefix and names found in the data (the locks of a run, the lease of a due run), so they
-- cannot all be announced in KEYS. That is allowed on a single server; Redis Cluster is refused at start.
--
--   run:<run>:journal   list    one record a line, exact JSON text
--   run:<run>:inbox     list    messages that no record has taken up yet
--   run:<run>:meta      hash    target, locks, signal, opened, closed, outcome, token (of the last lease), woken
--   run:<run>:lease     string  token of the lease, expires with it
--   open:<target>, lock:<name>  the open run that holds the target, or the lock
--   due, sent           zset    open runs by when they are due; until when a sent name is not sent again
--   runs, runs:target:<target>, runs:outcome:<outcome>   zsets of run names by the time they were opened
--   signals, signals:text, signals:count, seen:<id>|<status>   submitted signals in order, and what was seen before
--   ignored:<target>    list    ignored signals, capped, hash-chained
--   lead:<job>, lead:<job>:token   who leads a job, expires with the lead; how often it was taken
--
-- Times are decimal text from the caller's clock and are stored as they come; Lua only compares them.
local prefix = ARGV[1]

local function key(...)
  return prefix .. table.concat({...}, ':')
end

local function is_open(run)
  return redis.call('HGET', key('run', run, 'meta'), 'outcome') == ''
end

-- A message that came during a step (`woken`) keeps the run due at the message's time.
local function set_due(run, due)
  local woken = redis.call('HGET', key('run', run, 'meta'), 'woken')
  if woken and tonumber(woken) < tonumber(due) then
    due = woken
  end
  redis.call('ZADD', key('due'), due, run)
  redis.call('ZREM', key('sent'), run)
end
