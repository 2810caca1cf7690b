-- Where to look for a time: behind every entry whose newest record, and those before it, are older.
-- KEYS: topic, stream. ARGV: partition, timestamp. Returns an offset: nothing before it is as new.
local known = redis.call('HMGET', KEYS[1], 'start:' .. ARGV[1], 'end:' .. ARGV[1])
local low, high = tonumber(known[1] or nil), tonumber(known[2] or nil)
return string.format('%.0f', first_with(KEYS[2], 'newest', tonumber(ARGV[2]), low, high))
