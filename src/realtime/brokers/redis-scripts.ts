import { createHash } from "node:crypto";

/**
 * What Redis does with a room in one step. A room has a hash with its epoch (`e`) and the number of its last message
 * (`s`), a stream with its messages under the ids `<number>-0`, and a sorted set of the keys of those messages. All
 * rooms together have a sorted set of the times of their last messages.
 */
export interface Script {
  readonly lua: string;
  readonly sha: string;
}

/** How long a room's hash outlives its messages, milliseconds; nodes with members renew it in time. */
export const headGrace = 60_000;

/** A room that nobody knows begins with the epoch that the caller proposes. */
const open = `
local place = redis.call('HMGET', KEYS[1], 'e', 's')
if not place[1] then
  place = {ARGV[1], '0'}
  redis.call('HSET', KEYS[1], 'e', ARGV[1], 's', '0')
  redis.call('DEL', KEYS[2], KEYS[3])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
`;

/**
 * KEYS head, log, keys. ARGV proposed epoch, head's time to live.
 * Gives epoch and number.
 */
export const openRoom = script(`${open}
return place
`);

/**
 * KEYS head, log, keys, rooms.
 * ARGV proposed epoch, head's time to live, frame, time, key or empty, most messages, messages' time to live, channel, room.
 * Gives epoch, number, and 1 for a key that was known.
 */
export const publishMessage = script(`${open}
local epoch = place[1]
if ARGV[5] ~= '' then
  local known = redis.call('ZSCORE', KEYS[3], ARGV[5])
  if known then return {epoch, known, 1} end
end
local number = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 's', 1))
local text = string.sub(ARGV[3], 1, -2) .. ',"seq":' .. number .. ',"epoch":"' .. epoch .. '"}'
local most = tonumber(ARGV[6])
if most > 0 then
  redis.call('XADD', KEYS[2], 'MAXLEN', '=', most, number .. '-0', 'a', ARGV[4], 't', text)
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
  redis.call('ZADD', KEYS[4], ARGV[4], ARGV[9])
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', string.format('%.0f', tonumber(ARGV[4]) - tonumber(ARGV[7])))
  if ARGV[5] ~= '' then redis.call('ZADD', KEYS[3], number, ARGV[5]) end
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', tonumber(number) - most))
  redis.call('PEXPIRE', KEYS[3], ARGV[7])
end
redis.call('PUBLISH', ARGV[8], 'M' .. epoch .. ' ' .. number .. ' ' .. ARGV[4] .. '\\n' .. text)
return {epoch, number, 0}
`);

/**
 * KEYS head, log. ARGV epoch or empty for the latest, number, most messages.
 * Gives epoch and number of the room, then number, time and text of each message; nothing where there is no room.
 */
export const readRoom = script(`
local place = redis.call('HMGET', KEYS[1], 'e', 's')
if not place[1] then return {} end
local found = {place[1], place[2]}
if ARGV[1] ~= '' and ARGV[1] ~= place[1] then return found end
local from = math.max(tonumber(ARGV[2]), tonumber(place[2]) - tonumber(ARGV[3])) + 1
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], string.format('%.0f', from), '+')) do
  found[#found + 1] = string.match(entry[1], '^%d+')
  found[#found + 1] = entry[2][2]
  found[#found + 1] = entry[2][4]
end
return found
`);

export function script(lua: string): Script {
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}
