"""What the cache does inside Redis, each step as one script, so that no other client sees it half done.

All that the cache promises stands in one hash, the board, so that it is lost as a whole or not at all when Redis evicts
keys, is emptied, or is replaced by another one:

    generation        a random name; entries of another generation are not trusted
    shares            into how many shares the work of the projectors is divided
    share:<number>    the writer that changes the orders of this share
    epoch:<shares>:<number>   the highest epoch under which a writer has had this share; who had it before is refused
    until:<writer>    until when this writer promises, by Redis's clock in milliseconds, to mark orders before it
                      changes them
    seq:<writer>      how many times it has marked orders: if Redis has forgotten some, the numbers differ
    until             the earliest promise of the writers of all shares: later, no entry is trusted
    held              until when no entry is trusted, whatever is promised: the tables are being replaced meanwhile
    mark:<order id>   the writer, and the number of its marking, that is about to change this order

An order's key holds an entry, `1 <generation> <version> <payment version> <checksum> <stored at> <document>`, or for a
few seconds `t <generation> <token>`: the reader that knows the token is reading the order from PostgreSQL. A mark takes
the token away, so what that reader has read can no longer be stored.

Each script may be run when Redis is full ("allow-oom"), except those that store documents. None is flagged as one that
only reads, because a replica must refuse all of them: it may be behind the primary.
"""

from __future__ import annotations

ALLOWED_WHEN_FULL = "#!lua flags=allow-oom\n"
NOT_WHEN_FULL = "#!lua\n"

_TOOLS = """
local board = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function text(number) return string.format('%.0f', number) end
local function id_of(key) return string.sub(key, -36) end
local function value_of(key)
  local value = redis.pcall('GET', key)  -- of another type: it is not ours
  return type(value) == 'string' and value or ''
end
local function store(key, generation, milliseconds, head, document)
  local entry = table.concat({'1', generation, head, text(now), document}, ' ')
  redis.call('SET', key, entry, 'PX', milliseconds)
end
"""

_WRITER = (
    _TOOLS
    + """
local function settle()
  local earliest = nil
  for number = 0, tonumber(redis.call('HGET', board, 'shares') or 0) - 1 do
    local writer = redis.call('HGET', board, 'share:' .. number)
    local promised = writer and tonumber(redis.call('HGET', board, 'until:' .. writer) or 0) or 0
    if not earliest or promised < earliest then earliest = promised end
  end
  if tonumber(redis.call('HGET', board, 'held') or 0) > now then earliest = 0 end
  redis.call('HSET', board, 'until', text(earliest or 0))
  redis.call('PEXPIRE', board, 86400000)
end
local function promises(writer, seq, shares)
  local promised = redis.call('HMGET', board, 'until:' .. writer, 'seq:' .. writer)
  if not promised[1] or tonumber(promised[1]) <= now or promised[2] ~= seq then return false end
  for number in string.gmatch(shares, '%d+') do
    if redis.call('HGET', board, 'share:' .. number) ~= writer then return false end
  end
  return true
end
"""
)

# ARGV: token, milliseconds that it lasts. Answers nothing if no entry is to be trusted, else the generation, the time,
# the end of the promise, and for each key its entry, or 1: read the order and store it, or 0: read it, store nothing.
READ = (
    ALLOWED_WHEN_FULL
    + _TOOLS
    + """
if #KEYS == 1 then return {} end
local fields, keys = {'generation', 'until'}, {}
for i = 2, #KEYS do
  keys[i - 1] = KEYS[i]
  fields[i + 1] = 'mark:' .. id_of(KEYS[i])
end
local told = redis.call('HMGET', board, unpack(fields))
local generation, limit = told[1], told[2]
if not generation or not limit or tonumber(limit) <= now then return {} end
local trusted, token = '1 ' .. generation .. ' ', 't ' .. generation .. ' '
local values = redis.call('MGET', unpack(keys))
local answer = {generation, text(now), limit}
for i, key in ipairs(keys) do
  local value = values[i] or ''
  if told[i + 2] then
    answer[i + 3] = 0
  elseif string.sub(value, 1, #trusted) == trusted then
    answer[i + 3] = value
  elseif string.sub(value, 1, #token) == token then
    answer[i + 3] = 0
  else
    redis.call('SET', key, token .. ARGV[1], 'PX', ARGV[2])
    answer[i + 3] = 1
  end
end
return answer
"""
)

# ARGV: generation, then for each key: token, milliseconds, head, document. Stores what a reader has read.
FILL = (
    NOT_WHEN_FULL
    + _TOOLS
    + """
local told = redis.call('HMGET', board, 'generation', 'until')
if told[1] ~= ARGV[1] or not told[2] or tonumber(told[2]) <= now then return 0 end
local stored = 0
for i = 2, #KEYS do
  local at = 4 * i - 6
  if value_of(KEYS[i]) == 't ' .. ARGV[1] .. ' ' .. ARGV[at] then
    store(KEYS[i], ARGV[1], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
    stored = stored + 1
  end
end
return stored
"""
)

# Answers the time.
CLOCK = ALLOWED_WHEN_FULL + _TOOLS + "return text(now)"

# ARGV: writer, generation, milliseconds of the promise, number of shares, the writer's shares, the latest time at which
# this may be done, since Redis may have been frozen, and the epochs of the shares. Begins a new generation, and forgets
# writers without share. A writer whose share another has taken since, and who does not know it yet, is refused: else it
# would end the other's generation and take its marks away while that one is saving orders.
ANNOUNCE = (
    ALLOWED_WHEN_FULL
    + _WRITER
    + """
local writer = ARGV[1]
if now > tonumber(ARGV[6]) then return 0 end
local epoch, epochs = string.gmatch(ARGV[7], '%d+'), {}
for number in string.gmatch(ARGV[5], '%d+') do
  local field = 'epoch:' .. ARGV[4] .. ':' .. number
  epochs[field] = epoch()
  if tonumber(epochs[field]) < tonumber(redis.call('HGET', board, field) or 0) then return 0 end
end
for field, known in pairs(epochs) do redis.call('HSET', board, field, known) end
redis.call('HSET', board, 'generation', ARGV[2], 'shares', ARGV[4], 'seq:' .. writer, '0')
redis.call('HSET', board, 'until:' .. writer, text(now + ARGV[3]))
for number in string.gmatch(ARGV[5], '%d+') do redis.call('HSET', board, 'share:' .. number, writer) end
local all, living = redis.call('HGETALL', board), {}
for i = 1, #all, 2 do
  if string.match(all[i], '^share:') then living[all[i + 1]] = true end
end
for i = 1, #all, 2 do
  local kind, name = string.match(all[i], '^(%a+):(.+)$')
  if kind == 'mark' then name = string.match(all[i + 1], '^(%S+)') end
  local own_mark = kind == 'mark' and name == writer
  local past = kind == 'share' and tonumber(name) >= tonumber(ARGV[4])
  local forgotten = kind and kind ~= 'share' and kind ~= 'epoch' and not living[name]
  if forgotten or own_mark or past then redis.call('HDEL', board, all[i]) end
end
settle()
return 1
"""
)

# ARGV: writer, number of its last marking, milliseconds, its shares. Answers the generation, or 0 if the promise has
# ended.
RENEW = (
    ALLOWED_WHEN_FULL
    + _WRITER
    + """
if not promises(ARGV[1], ARGV[2], ARGV[4]) then return 0 end
redis.call('HSET', board, 'until:' .. ARGV[1], text(now + ARGV[3]))
settle()
return redis.call('HGET', board, 'generation')
"""
)

# ARGV: as for RENEW. Marks the orders of the keys, and takes away the tokens of readers. The promise is renewed too.
MARK = (
    ALLOWED_WHEN_FULL
    + _WRITER
    + """
if not promises(ARGV[1], ARGV[2], ARGV[4]) then return 0 end
local seq = text(ARGV[2] + 1)
for i = 2, #KEYS do
  redis.call('HSET', board, 'mark:' .. id_of(KEYS[i]), ARGV[1] .. ' ' .. seq)
  if string.sub(value_of(KEYS[i]), 1, 2) ~= '1 ' then redis.call('UNLINK', KEYS[i]) end
end
redis.call('HSET', board, 'seq:' .. ARGV[1], seq, 'until:' .. ARGV[1], text(now + ARGV[3]))
settle()
return redis.call('HGET', board, 'generation')
"""
)

_UNMARK = """
local function unmark(key, mark)
  local field = 'mark:' .. id_of(key)
  if redis.call('HGET', board, field) == mark then redis.call('HDEL', board, field) end
end
"""

# ARGV: mark, generation, milliseconds, then for each key: versions, head, document. Stores the orders as they were
# saved, and takes the marks away. An entry that is newer stays.
WRITE = (
    NOT_WHEN_FULL
    + _TOOLS
    + _UNMARK
    + """
local held = tonumber(redis.call('HGET', board, 'held') or 0) > now
local current = redis.call('HGET', board, 'generation') == ARGV[2] and not held
for i = 2, #KEYS do
  local at = 3 * i - 2
  local generation, version, payment_version = string.match(value_of(KEYS[i]), '^1 (%S+) (%d+) (%d+) ')
  local newer = generation == ARGV[2] and version + payment_version > tonumber(ARGV[at])
  if current and not newer then store(KEYS[i], ARGV[2], ARGV[3], ARGV[at + 1], ARGV[at + 2]) end
  unmark(KEYS[i], ARGV[1])
end
return current and 1 or 0
"""
)

# ARGV: mark. Takes away the entries and the marks of orders, whose documents Redis had no memory for.
FORGET = (
    ALLOWED_WHEN_FULL
    + _TOOLS
    + _UNMARK
    + """
for i = 2, #KEYS do
  redis.call('UNLINK', KEYS[i])
  unmark(KEYS[i], ARGV[1])
end
return 1
"""
)

# ARGV: generation, milliseconds. Forgets every entry, and for so long none is trusted or stored. With 0 it ends that.
HOLD = (
    ALLOWED_WHEN_FULL
    + _WRITER
    + """
redis.call('HSET', board, 'generation', ARGV[1], 'held', text(now + ARGV[2]))
settle()
return 1
"""
)

# ARGV: writer, shares. Ends the promise of this writer, and those of others for these shares, at once.
WITHDRAW = (
    ALLOWED_WHEN_FULL
    + _WRITER
    + """
redis.call('HDEL', board, 'until:' .. ARGV[1], 'seq:' .. ARGV[1])
for number in string.gmatch(ARGV[2], '%d+') do redis.call('HDEL', board, 'share:' .. number) end
settle()
return 1
"""
)

# KEYS: buckets. ARGV, for each: requests, and microseconds, of its quota; how many requests are taken. A bucket is the
# time at which it is full again, in microseconds. Answers, for each: how many are granted, and in how long it is full.
TAKE = (
    ALLOWED_WHEN_FULL
    + """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local answer = {}
for i = 1, #KEYS do
  local count, window, wanted = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local interval = window / count
  local stored = redis.pcall('GET', KEYS[i])  -- of another type: it is not ours
  local ahead = (type(stored) == 'string' and tonumber(stored) or 0) - now
  if not (ahead > 0) then ahead = 0 end
  if ahead > window then ahead = window end
  local granted = math.min(wanted, math.floor((window - ahead) / interval + 0.000001))
  if granted > 0 then
    ahead = ahead + granted * interval
    redis.call('SET', KEYS[i], string.format('%.0f', now + ahead), 'PX', math.ceil(ahead / 1000) + 1)
  end
  answer[2 * i - 1], answer[2 * i] = granted, math.floor(ahead)
end
return answer
"""
)

ALL = (READ, FILL, CLOCK, ANNOUNCE, RENEW, MARK, WRITE, FORGET, HOLD, WITHDRAW, TAKE)
