-- Says that there are no rows, so that they are built again from the log, and drops those of partition 0.
-- KEYS: head, parts, stands, stood, past, then for each table its rows and the order of their keys.
-- ARGV: commit that was seen.
local commit = redis.call('HGET', KEYS[1], 'commit') or ''
if commit ~= ARGV[1] then return {'moved', commit} end
forget(KEYS[2])
for i = 3, #KEYS do redis.call('UNLINK', KEYS[i]) end
redis.call('HDEL', KEYS[1], 'at', 'before', 'folding', 'undoing', 'was')
redis.call('HSET', KEYS[1], 'commit', 'dropped ' .. ARGV[1], 'applied', 0, 'staged', 'back')
return {'done'}
