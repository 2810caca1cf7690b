-- KEYS: the set of groups. ARGV: base of keys, group, member, ms of its lease, topics as JSON. Returns the group's version.
local group, now = group_of(ARGV[1], ARGV[2]), now_ms()
put_out_lapsed(group, now)
redis.call('SADD', KEYS[1], ARGV[2])
redis.call('ZADD', group.leases, now + tonumber(ARGV[4]), ARGV[3])
local order = redis.call('HINCRBY', group.state, 'joined', 1)
redis.call('HSET', group.members, ARGV[3], cjson.encode({ order = order, topics = cjson.decode(ARGV[5]) }))
return assign(group)
