-- What several scripts use. Times are milliseconds by the server's clock, so that members need not agree on theirs.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function id_of(offset)
  return string.format('%.0f-0', offset)
end

local function pairs_of(flat)
  local found = {}
  for place = 1, #flat, 2 do
    found[flat[place]] = flat[place + 1]
  end
  return found
end

-- Appending. `topic` is the hash of a topic, `stream` the stream of one of its partitions.

local function is_there(topic, topic_id, number)
  local found = redis.call('HMGET', topic, 'id', 'partitions')
  return found[1] == topic_id and tonumber(number) < tonumber(found[2])
end

-- Drops whole entries from the beginning: those that are too old by their newest record, and those that are too many.
local function trim(topic, stream, number, retention_ms, retention_bytes, bytes, now)
  local start = nil
  for _ = 1, 100 do
    local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    if not first then
      break
    end
    local entry = pairs_of(first[2])
    local is_old = retention_ms and tonumber(entry.newest) < now - retention_ms
    local is_too_much = retention_bytes and bytes - #entry.batch >= retention_bytes
    if not (is_old or is_too_much) then
      break
    end
    redis.call('XDEL', stream, first[1])
    bytes = bytes - #entry.batch
    start = tonumber(string.match(first[1], '^%d+'))
  end
  if start then
    redis.call('HSET', topic, 'start:' .. number, string.format('%.0f', start))
  end
  redis.call('HSET', topic, 'bytes:' .. number, bytes, 'trim_at:' .. number, now + 1000)
end

-- Returns the end offset, and 1 if the partition should be compacted.
local function append(topic, stream, number, records, newest, batch, now)
  local known = redis.call('HMGET', topic, 'end:' .. number, 'newest:' .. number, 'bytes:' .. number, 'compact',
    'compact_at:' .. number, 'clean_at:' .. number, 'retention_ms', 'retention_bytes', 'trim_at:' .. number)
  local last = tonumber(known[1]) + tonumber(records)
  if tonumber(newest) < tonumber(known[2]) then
    newest = known[2]
  end
  redis.call('XADD', stream, id_of(last), 'newest', newest, 'appended', now, 'batch', batch)
  local bytes = tonumber(known[3]) + #batch
  redis.call('HSET', topic, 'end:' .. number, string.format('%.0f', last), 'newest:' .. number, newest,
    'bytes:' .. number, bytes)
  local retention_ms, retention_bytes = tonumber(known[7] or nil), tonumber(known[8] or nil)
  if (retention_bytes and bytes > retention_bytes) or (retention_ms and now >= tonumber(known[9])) then
    trim(topic, stream, number, retention_ms, retention_bytes, bytes, now)
  end
  local is_due = known[4] == '1' and last >= tonumber(known[5]) and now >= tonumber(known[6])
  return last, is_due and 1 or 0
end

-- Groups. `base` is what every key begins with.

local function group_of(base, name)
  local group = { base = base, name = name }
  for _, part in ipairs({ 'state', 'members', 'leases', 'owners', 'offsets', 'target', 'wake' }) do
    group[part] = base .. 'group.' .. part .. ':' .. name
  end
  return group
end

local function topic_of(place)
  return string.match(place, '^(.*):(%d+)$')
end

local function count_of(base, topic)
  return tonumber(redis.call('HGET', base .. 'topic:' .. topic, 'partitions') or nil) or 0
end

-- Members read their assignment again, those that wait in XREAD too.
local function tell(group)
  local version = redis.call('HINCRBY', group.state, 'version', 1)
  redis.call('XADD', group.wake, 'MAXLEN', 1, id_of(version), 'version', version)
  return version
end

local function members_of(group)
  local members = {}
  local flat = redis.call('HGETALL', group.members)
  for place = 1, #flat, 2 do
    local known = cjson.decode(flat[place + 1])
    members[#members + 1] = { id = flat[place], order = known.order, topics = known.topics }
  end
  table.sort(members, function(one, other) return one.order < other.order end)
  return members
end

-- Topics with equal partition counts and the same readers, so that partition n of them goes to one member.
local function classes_of(group, members)
  local readers, names = {}, {}
  for _, member in ipairs(members) do
    for _, topic in ipairs(member.topics) do
      if not readers[topic] then
        readers[topic] = {}
        names[#names + 1] = topic
      end
      table.insert(readers[topic], member.id)
    end
  end
  table.sort(names)
  local classes, known = {}, {}
  for _, topic in ipairs(names) do
    local count = count_of(group.base, topic)
    local class = known[count .. '|' .. table.concat(readers[topic], '|')]
    if not class then
      class = { count = count, readers = readers[topic], topics = {} }
      known[count .. '|' .. table.concat(readers[topic], '|')] = class
      classes[#classes + 1] = class
    end
    table.insert(class.topics, topic)
  end
  return classes
end

-- Shares are equal up to one partition, and who had a partition keeps it as far as its share allows.
local function share(class, previous, load)
  local held, owner = {}, {}
  local floor, extra = math.floor(class.count / #class.readers), class.count % #class.readers
  for _, reader in ipairs(class.readers) do
    held[reader] = 0
  end
  for number = 0, class.count - 1 do
    local before = nil
    for _, topic in ipairs(class.topics) do
      before = before or previous[topic .. ':' .. number]
    end
    local has = before and held[before]
    if has and (has < floor or (has == floor and extra > 0)) then
      if has == floor then
        extra = extra - 1
      end
      held[before] = has + 1
      owner[number] = before
    end
  end
  for number = 0, class.count - 1 do
    if not owner[number] then
      local least = class.readers[1]
      for _, reader in ipairs(class.readers) do
        if held[reader] < held[least] or (held[reader] == held[least] and load[reader] < load[least]) then
          least = reader
        end
      end
      held[least] = held[least] + 1
      owner[number] = least
    end
    load[owner[number]] = load[owner[number]] + #class.topics
  end
  return owner
end

local function assign(group)
  local members, load = members_of(group), {}
  local previous = pairs_of(redis.call('HGETALL', group.target))
  redis.call('DEL', group.target)
  for _, member in ipairs(members) do
    load[member.id] = 0
  end
  for _, class in ipairs(classes_of(group, members)) do
    local owner = share(class, previous, load)
    for number = 0, class.count - 1 do
      for _, topic in ipairs(class.topics) do
        redis.call('HSET', group.target, topic .. ':' .. number, owner[number])
      end
    end
  end
  return tell(group)
end

local function remove(group, member)
  redis.call('HDEL', group.members, member)
  redis.call('ZREM', group.leases, member)
  local owners = redis.call('HGETALL', group.owners)
  for place = 1, #owners, 2 do
    if owners[place + 1] == member then
      redis.call('HDEL', group.owners, owners[place])
    end
  end
end

local function put_out_lapsed(group, now)
  local lapsed = redis.call('ZRANGEBYSCORE', group.leases, '-inf', '(' .. string.format('%.0f', now))
  for _, member in ipairs(lapsed) do
    remove(group, member)
  end
  if #lapsed > 0 then
    assign(group)
  end
end

local function is_member(group, member)
  return redis.call('ZSCORE', group.leases, member) and true or false
end

-- Of `arguments` from `first` on: place, offset, metadata, again and again. Returns what another member owns.
local function strange_among(group, member, arguments, first, last)
  local strange = {}
  for place = first, last, 3 do
    if redis.call('HGET', group.owners, arguments[place]) ~= member then
      strange[#strange + 1] = arguments[place]
    end
  end
  return strange
end

-- A consumer group of the stream itself shows the position in XINFO GROUPS.
local function show_position(group, place, offset)
  local stream = group.base .. 'stream:' .. place
  local shown = redis.pcall('XGROUP', 'SETID', stream, group.name, id_of(tonumber(offset)))
  if type(shown) == 'table' and shown.err then
    redis.pcall('XGROUP', 'CREATE', stream, group.name, id_of(tonumber(offset)), 'MKSTREAM')
  end
end

local function store(group, arguments, first, last)
  for place = first, last, 3 do
    redis.call('HSET', group.offsets, arguments[place], arguments[place + 1] .. ' ' .. arguments[place + 2])
    show_position(group, arguments[place], arguments[place + 1])
  end
end

-- A topic came or went: whoever reads it has another assignment.
local function tell_groups(base, topic, is_gone)
  for _, name in ipairs(redis.call('SMEMBERS', base .. 'groups')) do
    local group = group_of(base, name)
    if is_gone then
      for _, part in ipairs({ 'offsets', 'owners', 'target' }) do
        for _, place in ipairs(redis.call('HKEYS', group[part])) do
          if topic_of(place) == topic then
            redis.call('HDEL', group[part], place)
          end
        end
      end
    end
    assign(group)
  end
end

-- Entries have growing values of `field`. Returns an offset between `low` and `high` so that entries which end at or before
-- it have a smaller value than `wanted`.
local function first_with(stream, field, wanted, low, high)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local entry = redis.call('XRANGE', stream, '(' .. id_of(middle), id_of(high), 'COUNT', 1)[1]
    if not entry or tonumber(pairs_of(entry[2])[field]) >= wanted then
      high = middle
    else
      low = tonumber(string.match(entry[1], '^%d+'))
    end
  end
  return low
end
