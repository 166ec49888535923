-- Changes rows, outbox and applied position in partition 0 alone, as one atom.
-- KEYS: head, past, then for each table its rows and the order of their keys.
-- ARGV: epoch, commit before, id of this one, position before, position after, whether the past is kept,
-- then per change: table, p or d, key, value.
-- All checks come first: a script is isolated, but what it did before an error stays done.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'commit', 'applied', 'staged')
if head[1] ~= ARGV[1] then return {'fenced', head[1] or ''} end
if head[2] == ARGV[3] then return {'done'} end
if (head[2] or '') ~= ARGV[2] or head[3] ~= ARGV[4] then return {'moved', head[2] or ''} end
if head[4] then return {'staged'} end
apply(ARGV, 7, 3, ARGV[6] == '1' and KEYS[2] or nil)
redis.call('HSET', KEYS[1], 'commit', ARGV[3], 'applied', ARGV[5])
return {'done'}
