-- Entries that a Trim erased are deleted a thousand a call: erasing is a number in the log's head, deleting takes time.
--
-- KEYS[1] is the space (see commit.lua). ARGV: the log's field. Returns how many are left.

local key, field = KEYS[1], ARGV[1]
local found = redis.call('HMGET', key, 'h', field)
if not found[1] or not found[2] then return 0 end
local head = cmsgpack.unpack(found[1])
local number, start, length, floor = string.match(found[2], '^(%d+) (%d+) (%d+) (%d+)$')
local stop, fields, bytes = math.min(tonumber(start), floor + 1000), {}, 0
for index = floor, stop - 1 do
  fields[#fields + 1] = number .. ':' .. index
  bytes = bytes + redis.call('HSTRLEN', key, fields[#fields])
end
if #fields == 0 then return 0 end
local reply = redis.pcall('HDEL', key, unpack(fields))
if type(reply) == 'table' and reply.err then return reply end
head[9] = head[9] - bytes
redis.call('HSET', key, 'h', cmsgpack.pack(head), field, string.format('%s %s %s %.0f', number, start, length, stop))
return tonumber(start) - stop
