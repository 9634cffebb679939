-- A read is one call: all that was asked for of one state, in the order asked, until the bound is reached.
--
-- KEYS[1] is the space; its fields are told at the top of commit.lua. Writes nothing.
-- ARGV: words (see words.lua): items and bytes that may still be returned by this read; bytes that one call returns, so
-- that it does not hold up the server; 1 if an earlier call of this read returned something; number of fields, the fields
-- (h first), then the wants by field number:
--   D slot                                        a document, by its v field
--   S prefix after                                documents by prefix; after is "" or has one more character in front
--   L slot since last spans from to from to ...   of a log; since: a counter's slot or 0; a span's end may be ""
--   C slots slot slot ...                         counters
--   R                                             parent and summary: what a listing shows
-- An item larger than one call may return is named, not returned: {field} in its place. Lua would copy it three times, at
-- 1.4 ms a MiB; an HGET takes a tenth of that.
-- Returns nil if there is no such space; else {incarnation, revision, 1 if another call may go on, milliseconds of Unix time
-- when it expires or nil, one answer a want ...}:
--   D  nil (absent, or given before) | 0 (left out) | {revision, data}
--   S  {1 if some were left out, path, revision, data, ...}
--   L  {start, length, {from, to, ... left out}, first index, {entries}, first index, {entries}, ...}
--   C  {value, ...}          R  {parent, summary}
-- or {"corrupt", field}.

local key = KEYS[1]
local words = words_in(ARGV[1])
local PART = tonumber(words[3])
local items_left, bytes_left, part_left = tonumber(words[1]), tonumber(words[2]), PART
local FIRST, count = 6, tonumber(words[5])
local AT_ONCE = 1000 -- what unpack may spread

local got = {}
for from = FIRST, FIRST + count - 1, AT_ONCE do
  local part = redis.call('HMGET', key, unpack(words, from, math.min(from + AT_ONCE, FIRST + count) - 1))
  for at = 1, #part do got[from - FIRST + at] = part[at] end
end
if not got[1] then
  if redis.call('EXISTS', key) == 1 then return {'corrupt', 'h'} end
  return false
end
local head = cmsgpack.unpack(got[1])
local INCARNATION, REVISION, PARENT, BYTES = 1, 2, 6, 9
-- sizes need a look each; a space that fits as a whole needs none
local fits = head[BYTES] <= math.min(bytes_left, part_left)

local full, paused, some, here = false, 0, words[4] == '1', false
local function take(size)
  if full then return false end
  if items_left == 0 or (some and size > bytes_left) then
    full = true
  elseif here and size > part_left then
    full, paused = true, 1
  else
    items_left, bytes_left, part_left = items_left - 1, bytes_left - size, part_left - size
    some, here = true, true
  end
  return not full
end

local seen, broken = {}, nil
local function document(path, version)
  local revision, size = string.match(version, '^(%d+) (%d+)$')
  if not take(tonumber(size)) then return 0 end
  seen['d' .. path] = true
  if tonumber(size) > PART then return {revision, {'d' .. path}} end
  local data = redis.call('HGET', key, 'd' .. path)
  if not data then broken = 'd' .. path end
  return {revision, data}
end

local function documents(prefix, after)
  local paths = redis.call('HGET', key, 'p') or ''
  local answer = {0}
  local begin = (after and before(prefix, after)) and after or prefix
  local low = place_of(paths, begin, 1)
  while low <= #paths do
    local stop = string.find(paths, '\0', low, true)
    local path = string.sub(paths, low, stop - 1)
    low = stop + 1
    if string.sub(path, 1, #prefix) ~= prefix then break end
    if path ~= after and not seen['d' .. path] then
      local version = redis.call('HGET', key, 'v' .. path)
      if not version then
        broken = 'v' .. path
        break
      end
      local found = document(path, version)
      if found == 0 then
        answer[1] = 1
        break
      end
      answer[#answer + 1] = path
      answer[#answer + 1] = found[1]
      answer[#answer + 1] = found[2]
    end
  end
  return answer
end

local function value_of(slot) return got[slot] and string.match(got[slot], ' (.*)') or '0' end

-- ascending, disjoint, none of them empty
local function union(spans, start, length)
  local cut = {}
  for _, span in ipairs(spans) do
    local low, high = math.max(span[1], start), math.min(span[2], length)
    if low < high then cut[#cut + 1] = {low, high} end
  end
  table.sort(cut, function(a, b) return a[1] < b[1] end)
  local found = {}
  for _, span in ipairs(cut) do
    local last = found[#found]
    if last and span[1] <= last[2] then last[2] = math.max(last[2], span[2]) else found[#found + 1] = span end
  end
  return found
end

-- [low, high) of a log behind the answer; one that is missing is left to the client to notice
local function run(answer, prefix, low, high)
  if low >= high then return end
  local entries
  for from = low, high - 1, AT_ONCE do
    local fields = {}
    for index = from, math.min(from + AT_ONCE, high) - 1 do fields[index - from + 1] = prefix .. index end
    local part = redis.call('HMGET', key, unpack(fields))
    if entries then
      for at = 1, #part do entries[#entries + 1] = part[at] end
    else
      entries = part
    end
  end
  answer[#answer + 1] = low
  answer[#answer + 1] = entries
end

local function entries_of(name, head_of_log, spans)
  local number, start, length = string.match(head_of_log or '', '^(%d+) (%d+) (%d+) ')
  start, length = tonumber(start or 0), tonumber(length or 0)
  local left = {}
  local answer = {start, length, left}
  local prefix = (number or '') .. ':'
  local given = seen[name] or {} -- runs
  local anew = #given == 0
  local function known(index)
    for _, span in ipairs(given) do
      if index >= span[1] and index < span[2] then return true end
    end
  end
  local wanted = union(spans(length), start, length)
  for at = #wanted, 1, -1 do
    local low, high = wanted[at][1], wanted[at][2]
    local stop, index = high, high -- the run that is being measured is [index, stop)
    if fits and anew and not full and high - low <= items_left then
      items_left, index = items_left - (high - low), low
    end
    while index > low and not full do
      local field = prefix .. (index - 1)
      local size = fits and 0 or redis.call('HSTRLEN', key, field)
      if not anew and known(index - 1) then
        run(answer, prefix, index, stop)
        stop = index - 1
      elseif not take(size) then
        break
      elseif size > PART then
        run(answer, prefix, index, stop)
        stop = index - 1
        answer[#answer + 1] = stop
        answer[#answer + 1] = {{field}}
      end
      index = index - 1
    end
    run(answer, prefix, index, stop)
    if index > low then
      left[#left + 1] = low
      left[#left + 1] = index
    end
    given[#given + 1] = {index, high}
  end
  seen[name] = given
  return answer
end

-- when the key ends, from how long it still has: of two clocks (before Redis 7.2) that have to show the same millisecond
local function expires()
  while true do
    local before_, left, after_ = redis.call('TIME'), redis.call('PTTL', key), redis.call('TIME')
    if left < 0 then return false end
    local from = before_[1] * 1000 + math.floor(before_[2] / 1000)
    -- the key is there through this millisecond
    if from == after_[1] * 1000 + math.floor(after_[2] / 1000) then return string.format('%.0f', from + left + 1) end
  end
end

local answers = {head[INCARNATION], head[REVISION], 0, expires()}
local at = FIRST + count
while at <= #words do
  local want, answer = words[at], false
  if want == 'D' then
    local slot = tonumber(words[at + 1])
    local path = string.sub(words[FIRST + slot - 1], 2)
    if got[slot] and not seen['d' .. path] then answer = document(path, got[slot]) end
    at = at + 2
  elseif want == 'S' then
    local after = words[at + 2]
    answer = documents(words[at + 1], after ~= '' and string.sub(after, 2) or nil)
    at = at + 3
  elseif want == 'L' then
    local slot, since, last, many =
      tonumber(words[at + 1]), tonumber(words[at + 2]), tonumber(words[at + 3]), tonumber(words[at + 4])
    local from = at + 5
    answer = entries_of(words[FIRST + slot - 1], got[slot], function(length)
      local spans = {}
      for i = from, from + 2 * many - 1, 2 do
        spans[#spans + 1] = {tonumber(words[i]), words[i + 1] == '' and length or tonumber(words[i + 1])}
      end
      if last > 0 then spans[#spans + 1] = {length - last, length} end
      if since > 0 then spans[#spans + 1] = {tonumber(value_of(since)), length} end
      return spans
    end)
    at = from + 2 * many
  elseif want == 'C' then
    answer = {}
    for i = at + 2, at + 1 + tonumber(words[at + 1]) do answer[#answer + 1] = value_of(tonumber(words[i])) end
    at = at + 2 + tonumber(words[at + 1])
  elseif want == 'R' then
    answer = {head[PARENT], redis.call('HGET', key, 's')}
    at = at + 1
  end
  answers[#answers + 1] = answer
end
answers[3] = paused
if broken then return {'corrupt', broken} end
return answers
