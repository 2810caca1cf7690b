-- Renew a member's lease, and give it what it should have and nobody else holds any more.
-- ARGV: base of keys, group, member, ms of its lease, 1 to be given partitions (0 only renews).
-- Returns: 0 if it is no member; or the group's version, then for each partition that it should have: topic, partition,
-- 1 if it has it, the topic's id, start, end, and what is committed or ''.
local group, now = group_of(ARGV[1], ARGV[2]), now_ms()
local member = ARGV[3]
if not is_member(group, member) then
  return { 0 }
end
redis.call('ZADD', group.leases, now + tonumber(ARGV[4]), member)
put_out_lapsed(group, now)
local answer = { tonumber(redis.call('HGET', group.state, 'version')) }
if ARGV[5] ~= '1' then
  return answer
end
local target = redis.call('HGETALL', group.target)
for place = 1, #target, 2 do
  if target[place + 1] == member then
    redis.call('HSETNX', group.owners, target[place], member)
    local is_mine = redis.call('HGET', group.owners, target[place]) == member
    local topic, number = topic_of(target[place])
    local known = redis.call('HMGET', group.base .. 'topic:' .. topic, 'id', 'start:' .. number, 'end:' .. number)
    answer[#answer + 1] = { topic, tonumber(number), is_mine and 1 or 0, known[1], known[2], known[3],
      redis.call('HGET', group.offsets, target[place]) or '' }
  end
end
return answer
