-- Changes rows, outbox and applied position as one atom.
-- KEYS: head, then for each table its rows and the order of their keys.
-- ARGV: epoch, id of this commit, position before, position after, then per change: table, p or d, key, value.
-- All checks come first: a script is isolated, but what it did before an error stays done.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'commit', 'applied', 'staged')
if head[1] ~= ARGV[1] then return {'fenced', head[1] or ''} end
if head[2] == ARGV[2] then return {'done'} end
if head[3] ~= ARGV[3] then return {'moved', head[3] or ''} end
if head[4] then return {'staged'} end
apply(ARGV, 5, 2)
redis.call('HSET', KEYS[1], 'commit', ARGV[2], 'applied', ARGV[4])
return {'done'}
