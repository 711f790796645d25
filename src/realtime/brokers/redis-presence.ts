import type { MemberChange, RoomMember } from "./broker.js";
import { roomKey } from "./broker.js";
import {
  type Beat,
  changeWords,
  type PresenceStore,
  type RoomChange,
  type StoredMember,
} from "./cluster-presence.js";
import type { RedisLink } from "./redis-link.js";
import { type Script, script } from "./redis-scripts.js";

/** Milliseconds for which entries without renewal are kept. */
const lifeMs = 24 * 3_600_000;
/** Milliseconds for which the burial of a node is kept, so that it can learn of it. */
const graveMs = 3_600_000;

/**
 * The members of all rooms: for each room the set of its nodes, and for each of these a hash session → name. A node has
 * the set of its rooms, and a time of the server in the sorted set of all nodes: as `<node>` while it sends heartbeats,
 * as `<node>*` while another one announces that its sessions are gone, and then as `<node>+`.
 */
export class RedisPresence implements PresenceStore {
  readonly #link: RedisLink;
  readonly #prefix: string;
  readonly #leaseMs: number;

  constructor(link: RedisLink, prefix: string, leaseMs: number) {
    this.#link = link;
    this.#prefix = prefix;
    this.#leaseMs = leaseMs;
  }

  async write(node: string, changes: readonly RoomChange[]): Promise<void> {
    const calls = changes.map(({ room, change }) => {
      const { session, from, entered } = change;
      const args = [entered ? 1 : 0, room, node, session, from, lifeMs];
      return { keys: this.#keys(room, node), args: [...args, this.#channel(room), payloadOf(change)] };
    });
    await this.#link.runAll(changeMember, calls);
  }

  async read(room: string): Promise<readonly RoomMember[]> {
    const key = this.#room(room);
    const found = (await this.#link.run(readMembers, [key], [])).map(String);
    const members = new Map<string, RoomMember>();
    for (let index = 0; index + 2 < found.length; index += 3) {
      const [node = "", session = "", from = ""] = found.slice(index, index + 3);
      members.set(session, { session, from, node });
    }
    return [...members.values()];
  }

  async beat(node: string, isNew: boolean, claim: boolean): Promise<Beat> {
    const args = [node, this.#leaseMs, lifeMs, graveMs, claim ? 1 : 0];
    const [state, ...dead] = await this.#link.run(beatNode, [this.#nodes], args);
    return { state: isNew ? "known" : (state as Beat["state"]), dead: dead.map(String) };
  }

  async left(node: string): Promise<StoredMember[]> {
    const rooms = await this.#link.execute(redis => redis.smembers(this.#node(node)));
    const found: StoredMember[] = [];
    for (let start = 0; start < rooms.length; start += roomsAtOnce) {
      const some = rooms.slice(start, start + roomsAtOnce);
      const all = await this.#link.execute(redis =>
        Promise.all(some.map(room => redis.hgetall(this.#members(room, node)))),
      );
      all.forEach((members, index) => {
        const room = some[index] ?? "";
        for (const [session, from] of Object.entries(members)) {
          found.push({ room, member: { session, from, node } });
        }
      });
    }
    return found;
  }

  async publish(changes: readonly RoomChange[]): Promise<void> {
    await this.#link.execute(async redis => {
      const pipeline = redis.pipeline();
      for (const { room, change } of changes) pipeline.publish(this.#channel(room), payloadOf(change));
      for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
    });
  }

  async forget(node: string, evicted: boolean): Promise<void> {
    const rooms = await this.#link.execute(redis => redis.smembers(this.#node(node)));
    const calls = rooms.map(room => ({ keys: this.#keys(room, node), args: [node] }));
    for (let start = 0; start < calls.length; start += roomsAtOnce) {
      await this.#link.runAll(forgetMembers, calls.slice(start, start + roomsAtOnce));
    }
    await this.#link.run(forgetNode, [this.#nodes, this.#node(node)], [node, evicted ? 1 : 0]);
  }

  #keys(room: string, node: string): string[] {
    return [this.#node(node), this.#room(room), this.#members(room, node)];
  }

  get #nodes(): string {
    return `${this.#prefix}:nodes`;
  }

  #node(node: string): string {
    return `${this.#prefix}:at:${node}`;
  }

  #room(room: string): string {
    return `${this.#prefix}:in:${roomKey(room)}`;
  }

  #members(room: string, node: string): string {
    return `${this.#room(room)}:${node}`;
  }

  #channel(room: string): string {
    return room === "" ? "" : `${this.#prefix}:channel:${roomKey(room)}`;
  }
}

const roomsAtOnce = 500;

/** As nodes get it by the channel of the room. */
function payloadOf(change: MemberChange): string {
  return `C${changeWords(change)}\n${change.from}`;
}

/** KEYS node, room, members. ARGV 1 for an enter, room, node, session, name, time to live, channel, payload. */
const changeMember = script(`
if ARGV[1] == '1' then
  redis.call('SADD', KEYS[1], ARGV[2])
  redis.call('SADD', KEYS[2], ARGV[3])
  redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[6]) end
else
  redis.call('HDEL', KEYS[3], ARGV[4])
  if redis.call('EXISTS', KEYS[3]) == 0 then
    redis.call('SREM', KEYS[1], ARGV[2])
    redis.call('SREM', KEYS[2], ARGV[3])
  end
end
if ARGV[7] ~= '' then redis.call('PUBLISH', ARGV[7], ARGV[8]) end
return {}
`);

/** KEYS room. Gives node, session and name of each member. */
const readMembers = script(`
local found = {}
for _, node in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local members = redis.call('HGETALL', KEYS[1] .. ':' .. node)
  for index = 1, #members, 2 do
    found[#found + 1] = node
    found[#found + 1] = members[index]
    found[#found + 1] = members[index + 1]
  end
end
return found
`);

/**
 * KEYS nodes. ARGV node, lease, time to live, how long the dead are remembered, 1 to claim dead ones.
 * Returns the state of the node, then the nodes that it has claimed.
 */
const beatNode = script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = 'known'
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  local evicted = redis.call('ZSCORE', KEYS[1], ARGV[1] .. '*') or redis.call('ZSCORE', KEYS[1], ARGV[1] .. '+')
  state = evicted and 'evicted' or 'forgotten'
end
if state ~= 'evicted' then redis.call('ZADD', KEYS[1], now, ARGV[1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local found = {state}
if ARGV[5] == '1' then
  for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])) do
    if string.sub(node, -1) == '+' then
      if tonumber(redis.call('ZSCORE', KEYS[1], node)) <= now - ARGV[4] then redis.call('ZREM', KEYS[1], node) end
    else
      redis.call('ZREM', KEYS[1], node)
      local id = string.gsub(node, '%*$', '')
      redis.call('ZADD', KEYS[1], now, id .. '*')
      found[#found + 1] = id
    end
  end
end
return found
`);

/** KEYS node, room, members. ARGV node. */
const forgetMembers = script(`
redis.call('DEL', KEYS[3])
redis.call('SREM', KEYS[2], ARGV[1])
return {}
`);

/** KEYS nodes, node. ARGV node, 1 where it was evicted. */
const forgetNode = script(`
local score = redis.call('ZSCORE', KEYS[1], ARGV[1] .. '*')
redis.call('ZREM', KEYS[1], ARGV[1], ARGV[1] .. '*')
if ARGV[2] == '1' and score then redis.call('ZADD', KEYS[1], score, ARGV[1] .. '+') end
redis.call('DEL', KEYS[2])
return {}
`);

export const presenceScripts: readonly Script[] = [
  changeMember,
  readMembers,
  beatNode,
  forgetMembers,
  forgetNode,
];
