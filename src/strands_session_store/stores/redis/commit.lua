-- A commit is decided whole before its first write: Lua never rolls back.
--
-- KEYS[1] is the space, one hash:
--   h             head, cmsgpack array: see HEAD below
--   d<path>       a document            v<path>   its "<revision> <size>"
--   p             all paths, ascending by bytes, each followed by \0
--   l<log>        "<number> <start> <length> <floor>"; entries below start are erased, those below floor also deleted
--   <number>:<i>  entry i of the log with this number
--   c<counter>    "<number> <value>"
--   n             names of logs and counters in the order of their numbers, each followed by \0
--   s             summary
--   i, r          the current page of commit ids: 8 bytes each, dense by revision; and their results, cmsgpack arrays
--   i<k>, r<k>    page k, full: revisions 128k+1 to 128k+128; behind its ids, the time of the last one
-- Names come without \0 (the client escapes it), payloads as they are.
--
-- ARGV: words, id, payloads. The words, each ended by \0: on, fresh incarnation, ttl, summary, parent, claimed, floor, firmly,
-- number of fields, the fields (h, i, r first), then the changes, documents ascending by path. A word that may be missing is
-- "" then, else it has one more character in front. Many small arguments would cost more than what they say. Claimed: "+" if
-- the rows in the index are there that a new space needs, "-" if not; behind it, when the space was created, if the row below
-- its new parent is there, with that time; "" for neither.
--   P<field> expect    D<field> expect    E<field> expect    R<field> index    T<field> before    C<field> delta
--   A<field> at number of entries
-- Payloads in the order of the words: the summary, then those of P, A and R.
-- Returns the words "done", incarnation, revision, 1 if created, 0 if not, or "-" and the parent that it was taken from,
-- touched ("" or the time), entries erased but not yet deleted, parent (as above), first indices, counters' values (both in the order of the changes), each but the last
-- followed by \0; or {what, ...}:
--   repeated   incarnation, revision, {log, first, ...}, {counter, value, ...}
--   on         incarnation found                  the space is not the one expected
--   conflict   number of the change, what was found
--   overflow   number of the change, value before
--   unclaimed                                     the space is absent, and nobody claimed its rows in the index
--   moving     when it was created                it has another parent, and nobody made a row below the new one
--   regressed  revision found                     lower than one that was acknowledged
--   corrupt    field

local INCARNATION, REVISION, BORN, TOUCHED, CLAIMED, PARENT = 1, 2, 3, 4, 5, 6
local DOCUMENTS, ENTRIES, BYTES, NAMES, OLDEST = 7, 8, 9, 10, 11 -- OLDEST: page of commit ids
local BORN_MICROS, MOVED = 12, 13 -- not in heads of before there were any

local PAGE = 128 -- commit ids; see also the top
local KEEP_SECONDS, KEEP_COMMITS = 121, 64 -- times are kept in whole seconds, so one more
local TOUCH_SECONDS = 60
local AT_ONCE = 1000 -- what unpack may spread: Lua's C stack takes 8,000
local DELETE_AT_ONCE = 1000 -- entries; the rest is left to sweep.lua, so that no call blocks the server

local key = KEYS[1]
local words = words_in(ARGV[1])
local id, payload = ARGV[2], 2 -- the payload before the next
local on, fresh, ttl, summary, parent, claimed, floor, firmly =
  words[1], words[2], words[3], words[4], words[5], words[6], words[7], words[8]
local FIRST = 10
local count = tonumber(words[9])
local clock = redis.call('TIME')
local now = tonumber(clock[1])
local micros = now * 1000000 + tonumber(clock[2])
parent = parent ~= '' and string.sub(parent, 2)
local row_of = string.sub(claimed, 2)
claimed = string.sub(claimed, 1, 1) == '+'

local got = {}
for from = FIRST, FIRST + count - 1, AT_ONCE do
  local part = redis.call('HMGET', key, unpack(words, from, math.min(from + AT_ONCE, FIRST + count) - 1))
  for at = 1, #part do got[from - FIRST + at] = part[at] end
end
local function field_of(slot) return words[FIRST + slot - 1] end
local function name_of(slot) return string.sub(field_of(slot), 2) end

-- ------------------------------------------------------------------------------------------------------- the space

local head
if got[1] then
  head = cmsgpack.unpack(got[1])
elseif redis.call('EXISTS', key) == 1 then
  return {'corrupt', 'h'}
end

local function place_in(ids)
  local from = 1
  while true do
    local at = string.find(ids, id, from, true)
    if not at then return nil end
    if at % 8 == 1 then return (at - 1) / 8 + 1 end
    from = at + 1
  end
end

local function find_commit()
  local current = math.floor(head[REVISION] / PAGE)
  local at = place_in(got[2] or '')
  if at then return current * PAGE + at, at, got[3] end
  for from = head[OLDEST], current - 1, AT_ONCE do
    local fields = {}
    for page = from, math.min(from + AT_ONCE, current) - 1 do fields[#fields + 1] = 'i' .. page end
    for offset, ids in ipairs(redis.call('HMGET', key, unpack(fields))) do
      at = ids and place_in(ids)
      if at and at <= PAGE then
        local page = from + offset - 1
        return page * PAGE + at, at, redis.call('HGET', key, 'r' .. page)
      end
    end
  end
end

local function repetition(revision, at, results)
  local result = ({cmsgpack.unpack(results)})[at]
  local names = {}
  for name in string.gmatch(redis.call('HGET', key, 'n') or '', '([^%z]*)%z') do names[#names + 1] = name end
  local indices, values = {}, {}
  for i = 3, #result, 2 do
    local into = i < 3 + 2 * result[2] and indices or values
    local value = result[i + 1]
    into[#into + 1] = names[result[i]]
    into[#into + 1] = type(value) == 'number' and string.format('%.0f', value) or value
  end
  -- WAIT counts replicas that have the connection's last write: give it one
  if firmly ~= '' then redis.call('HSET', key, 'h', got[1]) end
  return {'repeated', head[INCARNATION], revision, indices, values}
end

if head then
  local known, at, results = find_commit()
  if known then return repetition(known, at, results) end
end
if (on == '-' and head) or (string.sub(on, 1, 1) == '=' and (not head or head[INCARNATION] ~= string.sub(on, 2))) then
  return {'on', head and head[INCARNATION]}
end
if head and floor ~= '' then
  -- without an incarnation: of the one that `on` names
  local incarnation, number, last = string.match(floor, '^(%S+) (%d+) (%x*)$')
  if not incarnation then number, last = string.match(floor, '^(%d+) (%x*)$') end
  number = tonumber(number)
  if not incarnation or incarnation == head[INCARNATION] then
    if number > head[REVISION] then return {'regressed', head[REVISION]} end
    if last ~= '' then
      -- others may have made as many since: then the commit of that number is another one
      local page, ids = math.floor((number - 1) / PAGE), got[2]
      if page < math.floor(head[REVISION] / PAGE) then ids = redis.call('HGET', key, 'i' .. page) end
      local from = 8 * ((number - 1) % PAGE) + 1
      local found = ids and string.gsub(string.sub(ids, from, from + 7), '.', function(c)
        return string.format('%02x', string.byte(c))
      end)
      if found and found ~= last then return {'regressed', head[REVISION]} end
    end
  end
end
if not head then
  if not claimed then return {'unclaimed'} end
  head = {fresh, 0, now, now, 0, parent, 0, 0, 0, 0, 0, tonumber(clock[2])}
end
local created = head[REVISION] == 0

-- ------------------------------------------------------------------------------------------------------ the changes

local logs = {}
local function log_at(slot)
  local log = logs[slot]
  if not log then
    local number, start, length, swept = string.match(got[slot] or '', '^(%d+) (%d+) (%d+) (%d+)$')
    log = {
      number = tonumber(number), start = tonumber(start or 0), length = tonumber(length or 0), floor = tonumber(swept or 0),
    }
    logs[slot] = log
  end
  return log
end

local function refuses(slot, expect)
  if expect == '' then return false end
  local revision = got[slot] and string.match(got[slot], '^%d+')
  local found = revision and head[INCARNATION] .. '.' .. revision
  if expect == '-' then return found ~= nil and found ~= false, found end
  -- without an incarnation: of the one that `on` names
  if string.sub(expect, 1, 1) == '.' then return revision ~= string.sub(expect, 2), found end
  return found ~= string.sub(expect, 2), found
end

local function next_payload()
  payload = payload + 1
  return payload
end
if summary ~= '' then summary = next_payload() end

local puts, drops, appends, replaces, trims, adds = {}, {}, {}, {}, {}, {}
local at, number = FIRST + count, 0
while at <= #words do
  local verb, slot, word = string.sub(words[at], 1, 1), tonumber(string.sub(words[at], 2)), words[at + 1]
  local refused, found
  number = number + 1
  at = at + 2
  if verb == 'P' then
    refused, found = refuses(slot, word)
    puts[#puts + 1] = {slot, next_payload()}
  elseif verb == 'D' then
    refused, found = refuses(slot, word)
    drops[#drops + 1] = slot
  elseif verb == 'E' then
    refused, found = refuses(slot, word)
  elseif verb == 'A' then
    local log, entries = log_at(slot), tonumber(words[at])
    refused, found = word ~= '' and tonumber(word) ~= log.length, log.length
    if entries > 0 then appends[#appends + 1] = {log, slot, payload + 1, entries} end
    payload = payload + entries
    at = at + 1
  elseif verb == 'R' then
    local log, index = log_at(slot), tonumber(word)
    refused = index < log.start or index >= log.length
    replaces[#replaces + 1] = {log, index, next_payload()}
  elseif verb == 'T' then
    local log = log_at(slot)
    local before = math.min(tonumber(word), log.length)
    if before > log.start then trims[#trims + 1] = {log, slot, before} end
  elseif verb == 'C' then
    local before = got[slot] and string.match(got[slot], ' (.*)') or '0'
    local value = sum(before, word)
    if not value then return {'overflow', number, before} end
    adds[#adds + 1] = {slot, value}
  end
  if refused then return {'conflict', number, found} end
end

local moves, taken_from = summary ~= '' and parent ~= head[PARENT], false
if moves then
  local born = string.format('%.0f.%06d', head[BORN], head[BORN_MICROS] or 0)
  if parent and row_of ~= born then return {'moving', born} end
  taken_from, head[PARENT] = head[PARENT], parent
  head[BORN_MICROS], head[MOVED] = head[BORN_MICROS] or 0, micros
end

-- ------------------------------------------------- the writes; only the first can fail (READONLY, OOM), and is handed on

local pairs_, size, failed = {}, 0, nil
local function flush()
  if size > 0 and not failed then
    local reply = redis.pcall('HSET', key, unpack(pairs_, 1, size))
    if type(reply) == 'table' and reply.err then failed = reply end
  end
  pairs_, size = {}, 0
end
local function put(field, value)
  pairs_[size + 1], pairs_[size + 2] = field, value
  size = size + 2
  if size >= AT_ONCE then flush() end
end

local new_names = {}
local function number_for(slot)
  new_names[#new_names + 1] = name_of(slot) .. '\0'
  head[NAMES] = head[NAMES] + 1
  return head[NAMES]
end

local edits = {}
local revision = head[REVISION] + 1
local documents, bytes = head[DOCUMENTS], head[BYTES]
for _, change in ipairs(puts) do
  local slot, data = change[1], ARGV[change[2]]
  local path = name_of(slot)
  local old = got[slot] and tonumber(string.match(got[slot], ' (%d+)'))
  if not old then
    edits[#edits + 1] = {path, true}
    documents = documents + 1
  end
  bytes = bytes + #data - (old or 0)
  put('d' .. path, data)
  put('v' .. path, string.format('%.0f %d', revision, #data))
end
local gone = {}
for _, slot in ipairs(drops) do
  local path = name_of(slot)
  if got[slot] then
    edits[#edits + 1] = {path, false}
    documents = documents - 1
    bytes = bytes - tonumber(string.match(got[slot], ' (%d+)'))
    gone[#gone + 1] = 'd' .. path
    gone[#gone + 1] = 'v' .. path
  end
end
if #edits > 0 then
  -- puts and drops are each ascending; together they are merged here
  if #gone > 0 and #gone / 2 < #edits then table.sort(edits, function(a, b) return before(a[1], b[1]) end) end
  local paths, pieces, from = created and '' or redis.call('HGET', key, 'p') or '', {}, 1
  for _, edit in ipairs(edits) do
    local place = place_of(paths, edit[1], from)
    pieces[#pieces + 1] = string.sub(paths, from, place - 1)
    if edit[2] then
      pieces[#pieces + 1] = edit[1] .. '\0'
      from = place
    else
      from = place + #edit[1] + 1
    end
  end
  pieces[#pieces + 1] = string.sub(paths, from)
  put('p', table.concat(pieces))
end

local result, firsts, values = {now - head[BORN], #appends}, {}, {}
local entries = head[ENTRIES]
for _, change in ipairs(replaces) do
  local log, index, data = change[1], change[2], ARGV[change[3]]
  local field = log.number .. ':' .. index
  bytes = bytes + #data - redis.call('HSTRLEN', key, field)
  put(field, data)
end
local changed = {}
for _, change in ipairs(appends) do
  local log, slot, from, many = change[1], change[2], change[3], change[4]
  log.number = log.number or number_for(slot)
  local prefix, first = log.number .. ':', log.length
  for offset = 0, many - 1 do
    local data = ARGV[from + offset]
    bytes = bytes + #data
    put(string.format('%s%.0f', prefix, first + offset), data)
  end
  log.length = first + many
  entries = entries + many
  changed[slot] = log
  firsts[#firsts + 1] = first
  result[#result + 1] = log.number
  result[#result + 1] = first
end
for _, change in ipairs(adds) do
  local slot, value = change[1], change[2]
  local known = got[slot] and tonumber(string.match(got[slot], '^%d+')) or number_for(slot)
  put(field_of(slot), known .. ' ' .. value)
  values[#values + 1] = value
  result[#result + 1] = known
  result[#result + 1] = math.abs(tonumber(value)) < EXACT and tonumber(value) or value
end

local left = 0
if #trims > 0 or #gone > 0 then
  -- what is deleted comes last: an entry that is replaced and erased by one commit is gone
  flush()
  if failed then return failed end
  for from = 1, #gone, AT_ONCE do
    redis.call('HDEL', key, unpack(gone, from, math.min(from + AT_ONCE - 1, #gone)))
  end
  local budget = DELETE_AT_ONCE
  for _, change in ipairs(trims) do
    local log, slot, start = change[1], change[2], change[3]
    entries = entries - (start - log.start)
    log.start = start
    changed[slot] = log
    local stop, fields = math.min(start, log.floor + budget), {}
    for index = log.floor, stop - 1 do
      local field = string.format('%d:%.0f', log.number, index)
      fields[#fields + 1] = field
      bytes = bytes - redis.call('HSTRLEN', key, field)
    end
    if #fields > 0 then redis.call('HDEL', key, unpack(fields)) end
    log.floor = stop
    budget = budget - #fields
    left = left + start - stop
  end
end
for slot, log in pairs(changed) do
  put(field_of(slot), string.format('%d %.0f %.0f %.0f', log.number, log.start, log.length, log.floor))
end
if #new_names > 0 then
  local names = table.concat(new_names)
  put('n', created and names or (redis.call('HGET', key, 'n') or '') .. names)
end
local told_anew = moves or (summary ~= '' and not created and redis.call('HGET', key, 's') ~= ARGV[summary])
if summary ~= '' then put('s', ARGV[summary]) end

-- ------------------------------------------------------------------------------------------------- ids and the head

local ids, results = (got[2] or '') .. id, (got[3] or '') .. cmsgpack.pack(result)
local page = math.floor((revision - 1) / PAGE)
if revision % PAGE == 0 then
  put('i' .. page, ids .. struct.pack('>I4', now - head[BORN]))
  put('r' .. page, results)
  ids, results = '', ''
end
put('i', ids)
put('r', results)
local old = {}
if revision % 16 == 0 then
  while #old < 8 and (head[OLDEST] + 1) * PAGE <= revision - KEEP_COMMITS - 1 do
    local last = redis.call('HGET', key, 'i' .. head[OLDEST])
    if last and now - head[BORN] - struct.unpack('>I4', last, PAGE * 8 + 1) < KEEP_SECONDS then break end
    old[#old + 1] = 'i' .. head[OLDEST]
    old[#old + 1] = 'r' .. head[OLDEST]
    head[OLDEST] = head[OLDEST] + 1
  end
end
local touched = ''
if created or told_anew or now - head[TOUCHED] >= TOUCH_SECONDS then
  head[TOUCHED] = now
  touched = string.format('%s.%06d', clock[1], tonumber(clock[2]))
end
if claimed then head[CLAIMED] = micros end
head[REVISION], head[DOCUMENTS], head[ENTRIES], head[BYTES] = revision, documents, entries, bytes
put('h', cmsgpack.pack(head))
flush()
if failed then return failed end
if #old > 0 then redis.call('HDEL', key, unpack(old)) end
if ttl == 'n' then
  redis.call('PERSIST', key)
elseif ttl ~= '' then
  -- a key is there through the millisecond of its end
  redis.call('PEXPIRE', key, math.max(1, tonumber(ttl) - 1))
end
local done = {
  'done', head[INCARNATION], revision, created and 1 or taken_from and '-' .. taken_from or 0, touched, left,
  head[PARENT] and '+' .. head[PARENT] or '',
}
for _, first in ipairs(firsts) do done[#done + 1] = first end
for _, value in ipairs(values) do done[#done + 1] = value end
return table.concat(done, '\0')
