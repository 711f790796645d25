import type { BrokerPresence, Member } from "./broker.js";
import { roomKey } from "./broker.js";
import type { RedisLink } from "./redis-link.js";

/** Milliseconds after which a node that says nothing is taken for dead. */
const expiryMs = 30_000;
const heartbeatMs = expiryMs / 3;
/** How long entries of dead nodes are kept at most, where nobody asks for them, milliseconds. */
const roomLife = 10 * 60_000;
const renewBeats = Math.floor(roomLife / heartbeatMs / 3);

/**
 * Who is in which room, in one hash a room: session → node and name. A node proves with one key that it lives; what a
 * dead one left is passed over, and removed by whoever finds it.
 */
export class RedisPresence implements BrokerPresence {
  readonly #link: RedisLink;
  readonly #prefix: string;
  readonly #node: string;
  /** Of this node. */
  readonly #rooms = new Map<string, Map<string, string>>();
  /** Rooms whose hash may differ from what is known here. */
  readonly #stale = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  #beats = 0;

  constructor(link: RedisLink, prefix: string, node: string) {
    this.#link = link;
    this.#prefix = prefix;
    this.#node = node;
    this.#timer = setInterval(() => void this.#beat(), heartbeatMs);
    this.#timer.unref();
  }

  enter(room: string, { session, from }: Member): void {
    let members = this.#rooms.get(room);
    if (members === undefined) {
      members = new Map();
      this.#rooms.set(room, members);
    }
    members.set(session, from);
    this.#write(room, redis =>
      redis
        .pipeline()
        .hset(this.#key(room), session, this.#entry(from))
        .pexpire(this.#key(room), roomLife)
        .exec(),
    );
  }

  exit(room: string, { session }: Member): void {
    const members = this.#rooms.get(room);
    members?.delete(session);
    if (members?.size === 0) this.#rooms.delete(room);
    this.#write(room, redis => redis.hdel(this.#key(room), session));
  }

  async members(room: string): Promise<readonly Member[]> {
    const entries = await this.#link.ask(redis => redis.hgetall(this.#key(room)));
    const found = Object.entries(entries).map(([session, entry]) => {
      const space = entry.indexOf(" ");
      return { session, node: entry.slice(0, space), from: entry.slice(space + 1) };
    });
    const nodes = [...new Set(found.map(each => each.node))].filter(node => node !== this.#node);
    const alive = new Set([this.#node]);
    if (nodes.length > 0) {
      const marks = await this.#link.ask(redis => redis.mget(nodes.map(node => this.#mark(node))));
      nodes.forEach((node, index) => {
        if (marks[index] !== null) alive.add(node);
      });
    }
    const dead = found.filter(each => !alive.has(each.node)).map(each => each.session);
    if (dead.length > 0) this.#write(room, redis => redis.hdel(this.#key(room), ...dead));
    return found.filter(each => alive.has(each.node)).map(({ session, from }) => ({ session, from }));
  }

  /** The server may have lost everything, or missed what changed here. */
  async restore(): Promise<void> {
    for (const room of this.#rooms.keys()) this.#stale.add(room);
    await this.#beat();
  }

  /** What this node knows is forgotten everywhere. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#link.ask(redis => redis.del(this.#mark(this.#node))).catch(() => undefined);
  }

  async #beat(): Promise<void> {
    try {
      await this.#link.ask(redis => redis.set(this.#mark(this.#node), "1", "PX", expiryMs));
      for (const room of [...this.#stale]) {
        this.#stale.delete(room);
        await this.#align(room);
      }
      if (++this.#beats % renewBeats === 0) await this.#renew();
    } catch {
      // The link has logged it; the next beat tries again.
    }
  }

  /** Makes the room's hash say of this node what is so. */
  async #align(room: string): Promise<void> {
    try {
      const there = await this.#link.ask(redis => redis.hgetall(this.#key(room)));
      const here = this.#rooms.get(room) ?? new Map<string, string>();
      const own = Object.keys(there).filter(session => there[session]?.startsWith(`${this.#node} `));
      const gone = own.filter(session => !here.has(session));
      await this.#link.ask(redis => {
        const pipeline = redis.pipeline();
        for (const [session, from] of here) pipeline.hset(this.#key(room), session, this.#entry(from));
        if (gone.length > 0) pipeline.hdel(this.#key(room), ...gone);
        return pipeline.pexpire(this.#key(room), roomLife).exec();
      });
    } catch (error) {
      this.#stale.add(room);
      throw error;
    }
  }

  async #renew(): Promise<void> {
    for (const room of [...this.#rooms.keys()]) {
      await this.#link.ask(redis => redis.pexpire(this.#key(room), roomLife));
    }
  }

  #write(room: string, command: Parameters<RedisLink["ask"]>[0]): void {
    this.#link.ask(command).catch(() => this.#stale.add(room));
  }

  #key(room: string): string {
    return `${this.#prefix}:members:${roomKey(room)}`;
  }

  #mark(node: string): string {
    return `${this.#prefix}:node:${node}`;
  }

  #entry(from: string): string {
    return `${this.#node} ${from}`;
  }
}
