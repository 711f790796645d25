import { createHash } from "node:crypto";

/**
 * The steps of Redis for a room, each atomic. A room has a hash with its epoch (`e`) and the number of its last message
 * (`s`), a stream with its messages under the ids `<number>-0`, and a sorted set of the keys of those messages. All
 * rooms together have a sorted set of the times of their last messages.
 */
export interface Script {
  readonly lua: string;
  readonly sha: string;
}

/** About the bytes that Redis needs for a message beside its text. */
const entryOverhead = 200;
/** Messages that one publication gives up at most. */
const evictedAtOnce = 1000;

/** How long a room's hash outlives its messages, milliseconds; nodes with members renew it in time. */
export const headGrace = 60_000;

/**
 * An unknown room begins with the epoch that the caller proposes. So does one that was written before the server was
 * started and may have lost its latest messages, since their numbers would be given twice; its numbers continue.
 * KEYS head, log, keys. ARGV proposed epoch, head's time to live, run of the server, 1 where the run has lost nothing.
 */
const open = `
local place = redis.call('HMGET', KEYS[1], 'e', 's', 'r')
if not place[1] then
  place = {ARGV[1], '0'}
  redis.call('HSET', KEYS[1], 'e', ARGV[1], 's', '0', 'r', ARGV[3])
  redis.call('DEL', KEYS[2], KEYS[3])
elseif place[3] ~= ARGV[3] then
  if ARGV[4] == '1' then
    redis.call('HSET', KEYS[1], 'r', ARGV[3])
  else
    redis.call('HSET', KEYS[1], 'e', ARGV[1], 'f', place[2], 'r', ARGV[3])
    redis.call('DEL', KEYS[3])
    place[1] = ARGV[1]
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
`;

/** Milliseconds since 1970 by the clock of the server, which alone decides how old a message is. */
const clock = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

/**
 * KEYS and ARGV as `open`.
 * Gives epoch and number.
 */
export const openRoom = script(`${open}
return {place[1], place[2]}
`);

/**
 * KEYS and ARGV as `open`, then
 * KEYS rooms, order, bytes. ARGV frame, key or empty, most messages, messages' time to live, channel, room, time by the
 * node's clock, most bytes of all rooms, the longest time to live of any room, token of a lease or empty.
 * Gives epoch, number, and 1 for a key that was known; nothing where the lease of the room is another one.
 *
 * The order has each message of every room, the oldest first, until it is given up: because the room has more (`o` of a
 * message is its position there), because it is too old, or because all of them together have too many bytes.
 */
export const publishMessage = script(`
if ARGV[14] ~= '' and redis.call('HGET', KEYS[1], 'l') ~= ARGV[14] then return {} end
${open}${clock}
local epoch = place[1]
local frame, key, most, life = ARGV[5], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
if key ~= '' then
  local known = redis.call('ZSCORE', KEYS[3], key)
  if known then return {epoch, known, 1} end
end
local number = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 's', 1))
local text = string.sub(frame, 1, -2) .. ',"seq":' .. number .. ',"epoch":"' .. epoch .. '"}'
if most > 0 then
  local longest = tonumber(ARGV[13])
  local size = #text + ${entryOverhead}
  local freed = 0
  local over = redis.call('XLEN', KEYS[2]) - most + 1
  if over > 0 then
    for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', over)) do
      local place = entry[2][8]
      if place and redis.call('XDEL', KEYS[5], place) == 1 then freed = freed + #entry[2][4] + ${entryOverhead} end
    end
  end
  local place = redis.call('XADD', KEYS[5], '*', 'k', KEYS[2], 'n', number .. '-0', 's', size)
  redis.call('XADD', KEYS[2], 'MAXLEN', '=', most, number .. '-0', 'a', now, 't', text, 'n', ARGV[11], 'o', place)
  redis.call('PEXPIRE', KEYS[2], life)
  local bytes = redis.call('INCRBY', KEYS[6], size - freed)
  for _ = 1, ${evictedAtOnce} do
    local first = redis.call('XRANGE', KEYS[5], '-', '+', 'COUNT', 1)[1]
    if not first then break end
    local stored = tonumber(string.match(first[1], '^%d+'))
    if bytes <= tonumber(ARGV[12]) and stored > now - longest then break end
    redis.call('XDEL', KEYS[5], first[1])
    local log, id = first[2][2], first[2][4]
    local kept = redis.call('XRANGE', log, id, id)[1]
    if kept and kept[2][8] == first[1] then redis.call('XDEL', log, id) end
    bytes = redis.call('DECRBY', KEYS[6], first[2][6])
  end
  redis.call('PEXPIRE', KEYS[5], longest + ${headGrace})
  redis.call('PEXPIRE', KEYS[6], longest + ${headGrace})
  redis.call('ZADD', KEYS[4], now + life - longest, ARGV[10])
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - longest)
  if key ~= '' then redis.call('ZADD', KEYS[3], number, key) end
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', tonumber(number) - most))
  redis.call('PEXPIRE', KEYS[3], life)
end
redis.call('PUBLISH', ARGV[9], 'M' .. epoch .. ' ' .. number .. ' ' .. ARGV[11] .. '\\n' .. text)
return {epoch, number, 0}
`);

/**
 * KEYS head, log. ARGV epoch or empty for the latest, number, most messages, their time to live, run of the server,
 * 1 where the run has lost nothing, a number that those of the messages are below or empty.
 * Gives epoch and number of the room, then number, time and text of each message; nothing where there is no room.
 */
export const readRoom = script(`${clock}
local place = redis.call('HMGET', KEYS[1], 'e', 's', 'r', 'f')
if not place[1] then return {} end
local found = {place[1], place[2]}
if ARGV[1] ~= '' then
  if ARGV[1] ~= place[1] then return found end
  -- Nobody can say what is missing until the room has a new epoch.
  if place[3] ~= ARGV[5] and ARGV[6] ~= '1' then return {'', place[2]} end
end
local first = ARGV[1] == '' and 0 or tonumber(place[4] or 0)
local last = tonumber(place[2])
if ARGV[7] ~= '' then last = math.min(last, tonumber(ARGV[7]) - 1) end
local from = math.max(tonumber(ARGV[2]), first, last - tonumber(ARGV[3])) + 1
if from > last then return found end
local entries = redis.call('XRANGE', KEYS[2], string.format('%.0f', from), string.format('%.0f', last))
for _, entry in ipairs(entries) do
  if tonumber(entry[2][2]) > now - ARGV[4] then
    found[#found + 1] = string.match(entry[1], '^%d+')
    -- Every node gets the same message: its time is that of the node which published it.
    found[#found + 1] = entry[2][6] or entry[2][2]
    found[#found + 1] = entry[2][4]
  end
end
return found
`);

/**
 * KEYS and ARGV as `open`, then KEYS lease. ARGV token, milliseconds. The lease is a key with its token, which expires; the
 * hash of the room has the token of the latest lease (`l`), which publications are compared with.
 * Gives 1, or 0 and the milliseconds until the lease of another ends.
 */
export const acquireLease = script(`
if not redis.call('SET', KEYS[4], ARGV[5], 'NX', 'PX', ARGV[6]) then
  return {0, redis.call('PTTL', KEYS[4])}
end
${open}
redis.call('HSET', KEYS[1], 'l', ARGV[5])
return {1}
`);

/** KEYS head, lease. ARGV token, milliseconds. A lease that is over is continued, unless there is another. Gives 1 or 0. */
export const renewLease = script(`
local held = redis.call('GET', KEYS[2])
if (held and held ~= ARGV[1]) or redis.call('HGET', KEYS[1], 'l') ~= ARGV[1] then return {0} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {1}
`);

/** KEYS head, lease. ARGV token, channel. */
export const releaseLease = script(`
if redis.call('HGET', KEYS[1], 'l') == ARGV[1] then redis.call('HDEL', KEYS[1], 'l') end
if redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('DEL', KEYS[2])
  redis.call('PUBLISH', ARGV[2], 'V\\n')
end
return {}
`);

/** KEYS rooms. ARGV messages' time to live, most names. */
export const heldRooms = script(`${clock}
local oldest = string.format('(%.0f', now - ARGV[1])
return redis.call('ZRANGEBYSCORE', KEYS[1], oldest, '+inf', 'LIMIT', 0, ARGV[2])
`);

/** KEYS signals. ARGV payload, most that are kept, their time to live, channel. */
export const sendSignal = script(`
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 't', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[1])
return {}
`);

export function script(lua: string): Script {
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}
