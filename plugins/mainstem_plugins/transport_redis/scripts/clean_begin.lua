-- Begin to compact a partition. KEYS: topic, stream, lock. ARGV: partition, token, ms of the lock, least records.
-- Returns: where what was never cleaned ends, topic id and the server's time; or nothing if there is too little to do, or
-- somebody else does it.
local now, number = now_ms(), ARGV[1]
local known = redis.call('HMGET', KEYS[1], 'id', 'start:' .. number, 'end:' .. number, 'cleaned:' .. number,
  'live:' .. number, 'compaction_lag_ms')
if not known[1] or not redis.call('SET', KEYS[3], ARGV[2], 'NX', 'PX', ARGV[3]) then
  return {}
end
local cleaned, last, lag = tonumber(known[4]), tonumber(known[3]), tonumber(known[6])
if lag > 0 then
  last = first_with(KEYS[2], 'appended', now - lag, math.max(cleaned, tonumber(known[2])), last)
end
if last - cleaned < math.max(tonumber(ARGV[4]), tonumber(known[5])) then
  -- What must not be touched yet: not looked at again with each append.
  redis.call('HSET', KEYS[1], 'clean_at:' .. number, now + math.max(1000, math.min(60000, lag / 10)))
  redis.call('DEL', KEYS[3])
  return {}
end
return { string.format('%.0f', last), known[1], string.format('%.0f', now) }
