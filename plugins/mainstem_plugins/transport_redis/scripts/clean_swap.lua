-- Copy what was appended meanwhile, in steps; with the last step the cleaned stream takes the place of the old one.
-- KEYS: topic, stream, lock, cleaned stream. ARGV: partition, token, ms of the lock, topic id, where copying goes on, entries
-- a step, where the cleaned part ends, records and bytes in it, least records. Bytes grow with each copied entry.
-- Returns: where copying goes on and the bytes; 'done'; or 'lost' if the lock or the topic is.
local number = ARGV[1]
if redis.call('GET', KEYS[3]) ~= ARGV[2] or redis.call('HGET', KEYS[1], 'id') ~= ARGV[4] then
  redis.call('DEL', KEYS[4])
  return { 'lost' }
end
redis.call('PEXPIRE', KEYS[3], ARGV[3])
local last, bytes = ARGV[5], tonumber(ARGV[9])
local entries = redis.call('XRANGE', KEYS[2], '(' .. last .. '-0', '+', 'COUNT', ARGV[6])
for _, entry in ipairs(entries) do
  redis.call('XADD', KEYS[4], entry[1], unpack(entry[2]))
  bytes = bytes + #pairs_of(entry[2]).batch
  last = string.match(entry[1], '^%d+')
end
if #entries == tonumber(ARGV[6]) then
  redis.call('PEXPIRE', KEYS[4], ARGV[3])
  return { last, string.format('%.0f', bytes) }
end
local groups = redis.call('EXISTS', KEYS[2]) == 1 and redis.call('XINFO', 'GROUPS', KEYS[2]) or {}
for _, flat in ipairs(groups) do
  local shown = pairs_of(flat)
  redis.call('XGROUP', 'CREATE', KEYS[4], shown.name, shown['last-delivered-id'], 'MKSTREAM')
end
if redis.call('EXISTS', KEYS[4]) == 1 then
  redis.call('RENAME', KEYS[4], KEYS[2])
  redis.call('PERSIST', KEYS[2])
else
  redis.call('DEL', KEYS[2])
end
local live = tonumber(ARGV[8])
redis.call('HSET', KEYS[1], 'live:' .. number, live, 'cleaned:' .. number, ARGV[7], 'bytes:' .. number, bytes,
  'compact_at:' .. number, string.format('%.0f', tonumber(ARGV[7]) + math.max(tonumber(ARGV[10]), live)))
redis.call('DEL', KEYS[3])
return { 'done' }
