-- Delete the entries that end at or before an offset. KEYS: topic, stream. ARGV: partition, offset.
-- Returns 1; 0 if the partition does not exist; -1 if the offset is behind the end.
local number, before = ARGV[1], tonumber(ARGV[2])
local known = redis.call('HMGET', KEYS[1], 'start:' .. number, 'end:' .. number, 'bytes:' .. number)
if not known[1] then
  return 0
end
if before > tonumber(known[2]) then
  return -1
end
local start, bytes = tonumber(known[1]), tonumber(known[3])
while true do
  local entries = redis.call('XRANGE', KEYS[2], '-', id_of(before), 'COUNT', 100)
  for _, entry in ipairs(entries) do
    bytes = bytes - #pairs_of(entry[2]).batch
    start = tonumber(string.match(entry[1], '^%d+'))
    redis.call('XDEL', KEYS[2], entry[1])
  end
  if #entries < 100 then
    break
  end
end
redis.call('HSET', KEYS[1], 'start:' .. number, string.format('%.0f', start), 'bytes:' .. number, bytes)
return 1
