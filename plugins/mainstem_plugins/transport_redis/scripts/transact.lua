-- A whole transaction: records and the group's offsets, or nothing. Sent again, it is answered as it was.
-- KEYS: the transactional id, then topic and stream of each batch.
-- ARGV: owner, epoch, number of the transaction, base of keys, group, member, count of offsets, then place, offset and
-- metadata of each, then topic id, partition, records, newest timestamp and bytes of each batch.
-- Returns: 'ok', then end offset and whether compaction is due, of each batch; 'fenced'; 'gone' and a topic's key; or
-- 'strange' and the places that belong to others.
local known = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'done', 'answer')
if known[1] ~= ARGV[1] or known[2] ~= ARGV[2] then
  return { 'fenced' }
end
if known[3] == ARGV[3] then
  return cjson.decode(known[4])
end
local group, offsets_end = group_of(ARGV[4], ARGV[5]), 7 + 3 * tonumber(ARGV[7])
local strange = strange_among(group, ARGV[6], ARGV, 8, offsets_end)
if #strange > 0 then
  return { 'strange', unpack(strange) }
end
local batches = (#ARGV - offsets_end) / 5
for one = 0, batches - 1 do
  local at = offsets_end + 1 + 5 * one
  if not is_there(KEYS[2 + 2 * one], ARGV[at], ARGV[at + 1]) then
    return { 'gone', KEYS[2 + 2 * one] }
  end
end
local answer, now = { 'ok' }, now_ms()
for one = 0, batches - 1 do
  local at = offsets_end + 1 + 5 * one
  local last, is_due = append(KEYS[2 + 2 * one], KEYS[3 + 2 * one], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4],
    now)
  answer[#answer + 1] = last
  answer[#answer + 1] = is_due
end
store(group, ARGV, 8, offsets_end)
redis.call('HSET', KEYS[1], 'done', ARGV[3], 'answer', cjson.encode(answer))
return answer
