import { createHash } from "node:crypto";

/**
 * The steps of Redis for a room, each atomic. A room has a hash with its epoch (`e`), the number of its last message
 * (`s`) and the lineage of its epoch (`r`), a stream with its messages under the ids `<number>-0`, and a sorted set of
 * the keys of those messages. All rooms together have a sorted set of the times of their last messages, and a hash with
 * the lineage (`l`) and the count of all messages (`n`): see `RedisLineage`.
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
 * An unknown room begins with the epoch that the caller proposes. So does one of an earlier lineage, which may have lost
 * its latest messages, since their numbers would be given twice; its numbers continue, as `startOf` reads from the epoch.
 * KEYS head, log, keys, lineage. ARGV proposed epoch, head's time to live.
 */
const open = `
local place = redis.call('HMGET', KEYS[1], 'e', 's', 'r')
local lineage = redis.call('HGET', KEYS[4], 'l') or '0'
if place[3] ~= lineage then
  place = {ARGV[1], place[2] or '0'}
  if place[2] ~= '0' then place[1] = place[1] .. '-' .. place[2] end
  redis.call('HSET', KEYS[1], 'e', place[1], 's', place[2], 'r', lineage)
  if place[2] == '0' then redis.call('DEL', KEYS[2]) end
  redis.call('DEL', KEYS[3])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
`;

/** Milliseconds since 1970 by the clock of the server, which alone decides how old a message is. */
export const clock = `
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
 * KEYS rooms, order, bytes. ARGV most messages, messages' time to live, most bytes of all rooms, the longest time to live of
 * any room, channel, room, token of a lease or empty, how many messages were published under it before; then for each
 * message frame, key or empty, time by the node's clock.
 * Gives epoch, then for each message its number, and 1 for a key that was known, then the count of all messages; nothing
 * where the lease of the room is another one. Messages that were published under the lease already (`n`) are left out.
 *
 * The order has each message of every room, the oldest first, until it is given up: because the room has more (`o` of a
 * message is its position there), because it is too old, or because all of them together have too many bytes.
 */
export const publishMessages = script(`
local token, before = ARGV[9], tonumber(ARGV[10])
local after = before + (#ARGV - 10) / 3
local first = 11
if token ~= '' then
  local lease = redis.call('HMGET', KEYS[1], 'l', 'n')
  if lease[1] ~= token then return {} end
  first = first + 3 * math.max(0, tonumber(lease[2] or 0) - before)
end
${open}${clock}
local epoch = place[1]
local most, life, longest = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
local found = {epoch}
local count = '0'
local stored

for index = first, #ARGV, 3 do
  local key, at = ARGV[index + 1], ARGV[index + 2]
  local known = key ~= '' and redis.call('ZSCORE', KEYS[3], key)
  if known then
    found[#found + 1] = known
    found[#found + 1] = 1
  else
    local number = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 's', 1))
    local text = string.sub(ARGV[index], 1, -2) .. ',"seq":' .. number .. ',"epoch":"' .. epoch .. '"}'
    if most > 0 then
      local size = #text + ${entryOverhead}
      local freed = 0
      local over = redis.call('XLEN', KEYS[2]) - most + 1
      if over > 0 then
        for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', over)) do
          local place = entry[2][8]
          if place and redis.call('XDEL', KEYS[6], place) == 1 then freed = freed + #entry[2][4] + ${entryOverhead} end
        end
      end
      local place = redis.call('XADD', KEYS[6], '*', 'k', KEYS[2], 'n', number .. '-0', 's', size)
      redis.call('XADD', KEYS[2], 'MAXLEN', '=', most, number .. '-0', 'a', now, 't', text, 'n', at, 'o', place)
      local bytes = redis.call('INCRBY', KEYS[7], size - freed)
      for _ = 1, ${evictedAtOnce} do
        local first = redis.call('XRANGE', KEYS[6], '-', '+', 'COUNT', 1)[1]
        if not first then break end
        local time = tonumber(string.match(first[1], '^%d+'))
        if bytes <= tonumber(ARGV[5]) and time > now - longest then break end
        redis.call('XDEL', KEYS[6], first[1])
        local log, id = first[2][2], first[2][4]
        local kept = redis.call('XRANGE', log, id, id)[1]
        if kept and kept[2][8] == first[1] then redis.call('XDEL', log, id) end
        bytes = redis.call('DECRBY', KEYS[7], first[2][6])
      end
      stored = number
      if key ~= '' then redis.call('ZADD', KEYS[3], number, key) end
    end
    count = string.format('%.0f', redis.call('HINCRBY', KEYS[4], 'n', 1))
    redis.call('PUBLISH', ARGV[7], 'M' .. epoch .. ' ' .. number .. ' ' .. at .. ' ' .. count .. '\\n' .. text)
    found[#found + 1] = number
    found[#found + 1] = 0
  end
end
if stored then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', tonumber(stored) - most))
  redis.call('PEXPIRE', KEYS[2], life)
  redis.call('PEXPIRE', KEYS[3], life)
  redis.call('PEXPIRE', KEYS[6], longest + ${headGrace})
  redis.call('PEXPIRE', KEYS[7], longest + ${headGrace})
  redis.call('ZADD', KEYS[5], now + life - longest, ARGV[8])
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now - longest)
end
if token ~= '' and first <= #ARGV then redis.call('HSET', KEYS[1], 'n', string.format('%.0f', after)) end
found[#found + 1] = count
return found
`);

/**
 * KEYS head, log, lineage. ARGV epoch or empty for the latest, number, most messages, their time to live, a number that
 * those of the messages are below or empty.
 * Gives epoch and number of the room, then number, time and text of each message; nothing where there is no room.
 */
export const readRoom = script(`${clock}
local place = redis.call('HMGET', KEYS[1], 'e', 's', 'r')
if not place[1] then return {} end
local found = {place[1], place[2]}
if ARGV[1] ~= '' then
  if ARGV[1] ~= place[1] then return found end
  -- Nobody can say what is missing until the room has a new epoch.
  if place[3] ~= (redis.call('HGET', KEYS[3], 'l') or '0') then return {'', place[2]} end
end
local first = ARGV[1] == '' and 0 or tonumber(string.match(place[1], '%-(%d+)$') or 0)
local last = tonumber(place[2])
if ARGV[5] ~= '' then last = math.min(last, tonumber(ARGV[5]) - 1) end
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
 * hash of the room has the token of the latest lease (`l`), which publications are compared with, and counts them (`n`).
 * Gives 1, or 0 and the milliseconds until the lease of another ends.
 */
export const acquireLease = script(`
if not redis.call('SET', KEYS[5], ARGV[3], 'NX', 'PX', ARGV[4]) then
  return {0, redis.call('PTTL', KEYS[5])}
end
${open}
redis.call('HSET', KEYS[1], 'l', ARGV[3], 'n', '0')
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
if redis.call('HGET', KEYS[1], 'l') == ARGV[1] then redis.call('HDEL', KEYS[1], 'l', 'n') end
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
