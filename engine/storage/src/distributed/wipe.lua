-- Drops all rows of a partition. KEYS: head, parts, past, then all tables. ARGV: the commit that it stands at.
local at = redis.call('HGET', KEYS[1], 'at') or ''
if at ~= ARGV[1] then return {'moved', at} end
forget(KEYS[2])
for i = 3, #KEYS do redis.call('UNLINK', KEYS[i]) end
redis.call('HDEL', KEYS[1], 'at', 'before', 'folding', 'undoing')
return {'done'}
