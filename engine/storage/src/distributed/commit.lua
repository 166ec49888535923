-- Changes rows, outbox and applied position as one atom.
-- KEYS: head, then for each table its rows and the order of their keys.
-- ARGV: epoch, id of this commit, position before, position after, then per change: table, p or d, key, value.
-- All checks come first: a script is isolated, but what it did before an error stays done.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'commit', 'applied', 'staged')
if head[1] ~= ARGV[1] then return {'fenced', head[1] or ''} end
if head[2] == ARGV[2] then return {'done'} end
if head[3] ~= ARGV[3] then return {'moved', head[3] or ''} end
if head[4] then return {'staged'} end
for i = 5, #ARGV, 4 do
    local rows = KEYS[2 * tonumber(ARGV[i])]
    local order = KEYS[2 * tonumber(ARGV[i]) + 1]
    if ARGV[i + 1] == 'p' then
        redis.call('HSET', rows, ARGV[i + 2], ARGV[i + 3])
        redis.call('ZADD', order, 0, ARGV[i + 2])
    else
        redis.call('HDEL', rows, ARGV[i + 2])
        redis.call('ZREM', order, ARGV[i + 2])
    end
end
redis.call('HSET', KEYS[1], 'commit', ARGV[2], 'applied', ARGV[4])
return {'done'}
