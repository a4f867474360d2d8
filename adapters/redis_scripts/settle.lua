-- name (id|status)
redis.call('ZREM', key('signals'), ARGV[2])
redis.call('HDEL', key('signals', 'text'), ARGV[2])
return 1
