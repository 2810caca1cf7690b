-- Records of one producer, once: a call whose answer was lost is sent again with the same number and answered as it was.
-- KEYS: the producer, then topic and stream of each batch.
-- ARGV: number of the call, ms to remember it, then topic id, partition, records, newest timestamp and bytes of each batch.
-- Returns: 'ok', then end offset and whether compaction is due, of each batch; or 'gone' and a topic's key.
local before = redis.call('HMGET', KEYS[1], 'call', 'answer')
if before[1] == ARGV[1] then
  return cjson.decode(before[2])
end
local batches = (#ARGV - 2) / 5
for one = 0, batches - 1 do
  if not is_there(KEYS[2 + 2 * one], ARGV[3 + 5 * one], ARGV[4 + 5 * one]) then
    return { 'gone', KEYS[2 + 2 * one] }
  end
end
local answer, now = { 'ok' }, now_ms()
for one = 0, batches - 1 do
  local at = 3 + 5 * one
  local last, is_due = append(KEYS[2 + 2 * one], KEYS[3 + 2 * one], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4],
    now)
  answer[#answer + 1] = last
  answer[#answer + 1] = is_due
end
redis.call('HSET', KEYS[1], 'call', ARGV[1], 'answer', cjson.encode(answer))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return answer
