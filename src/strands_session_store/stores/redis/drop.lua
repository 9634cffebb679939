-- A drop takes the space whole, and tells what it was. The memory is given back behind the call's back (UNLINK).
--
-- KEYS[1] is the space (see commit.lua). ARGV: on.
-- Returns nil if there is none; {"on", incarnation} if it is not the one expected; else {"done", documents, entries,
-- bytes, claimed (microseconds), parent, the same or, if later, when it was put below its parent}.

local head = redis.call('HGET', KEYS[1], 'h')
if not head then
  if redis.call('EXISTS', KEYS[1]) == 1 then return {'corrupt', 'h'} end
  return false
end
head = cmsgpack.unpack(head)
if ARGV[1] == '-' or (ARGV[1] ~= '' and ARGV[1] ~= '=' .. head[1]) then return {'on', head[1]} end
local reply = redis.pcall('UNLINK', KEYS[1])
if type(reply) == 'table' and reply.err then return reply end
local claimed, moved = head[5], head[13] or 0
local function told(number) return string.format('%.0f', number) end
return {'done', head[7], head[8], head[9], told(claimed), head[6], told(math.max(claimed, moved))}
