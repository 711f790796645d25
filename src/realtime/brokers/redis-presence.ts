import type { BrokerPresence, Member } from "./broker.js";
import { roomKey } from "./broker.js";
import { NodeMembers } from "./node-members.js";
import type { RedisLink } from "./redis-link.js";

/** Milliseconds after which a node that says nothing is taken for dead. */
const expiryMs = 30_000;
const heartbeatMs = expiryMs / 3;
/** Milliseconds for which entries of dead nodes are kept at most, unless they are read before. */
const roomLife = 10 * 60_000;
const renewBeats = Math.floor(roomLife / heartbeatMs / 3);

/**
 * Who is in which room, in one hash a room: session → node and name. A node proves with one key that it lives; what a
 * dead one left is skipped, and removed by the node that finds it.
 */
export class RedisPresence implements BrokerPresence {
  readonly #link: RedisLink;
  readonly #prefix: string;
  readonly #node: string;
  readonly #here = new NodeMembers();
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

  enter(room: string, member: Member): void {
    this.#here.add(room, member);
    this.#write(room, redis =>
      redis
        .pipeline()
        .hset(this.#key(room), member.session, this.#entry(member.from))
        .pexpire(this.#key(room), roomLife)
        .exec(),
    );
  }

  exit(room: string, member: Member): void {
    this.#here.delete(room, member);
    this.#write(room, redis => redis.hdel(this.#key(room), member.session));
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
    for (const room of this.#here.rooms) this.#stale.add(room);
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
      const here = this.#here.of(room);
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
    for (const room of this.#here.rooms) {
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
