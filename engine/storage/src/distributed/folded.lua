-- Notes that every partition stands where the head says. KEYS: head. ARGV: id of the commit.
if redis.call('HGET', KEYS[1], 'commit') == ARGV[1] then redis.call('HDEL', KEYS[1], 'staged') end
return {'done'}
