-- Takes the last commit of a partition back, some rows at a time, or drops its parts if they are not folded.
-- KEYS: head, parts, past, then for each table its rows and the order of their keys.
-- ARGV: id of the commit, the one to go back to, how many rows at the most.
local head = redis.call('HMGET', KEYS[1], 'at', 'before', 'undoing', 'staging')
local at = head[1] or ''
if at == ARGV[2] and not head[3] then
    if head[4] == ARGV[1] then forget(KEYS[2]) end
    return {'done'}
end
if at ~= ARGV[1] or head[2] ~= ARGV[2] then return {'moved', at} end
redis.call('HSET', KEYS[1], 'undoing', 1)
redis.call('HDEL', KEYS[1], 'folding')
forget(KEYS[2])
local cursor, found = '0', {}
repeat
    local page = redis.call('HSCAN', KEYS[3], cursor, 'COUNT', ARGV[3])
    cursor = page[1]
    for _, text in ipairs(page[2]) do found[#found + 1] = text end
until cursor == '0' or #found >= 2 * tonumber(ARGV[3])
for i = 1, #found, 2 do
    local space = string.find(found[i], ' ', 1, true)
    local first = 4 + 2 * (tonumber(string.sub(found[i], 1, space - 1)) - 1)
    local key = string.sub(found[i], space + 1)
    if string.sub(found[i + 1], 1, 1) == 'p' then
        redis.call('HSET', KEYS[first], key, string.sub(found[i + 1], 2))
        redis.call('ZADD', KEYS[first + 1], 0, key)
    else
        redis.call('HDEL', KEYS[first], key)
        redis.call('ZREM', KEYS[first + 1], key)
    end
    redis.call('HDEL', KEYS[3], found[i])
end
if cursor ~= '0' then return {'more'} end
redis.call('HSET', KEYS[1], 'at', ARGV[2])
redis.call('HDEL', KEYS[1], 'before', 'undoing')
return {'done'}
