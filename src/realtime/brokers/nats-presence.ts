import type { BrokerPresence, Member } from "./broker.js";
import { roomKey } from "./broker.js";
import type { NatsLink, StreamNeeds } from "./nats-link.js";
import { NatsLog } from "./nats-log.js";
import { NodeMembers } from "./node-members.js";

/** Milliseconds after which what a node said of a room does not count any more. */
const expiryMs = 60_000;
const heartbeatMs = expiryMs / 3;
/** Milliseconds in which changes of a room are said together. */
const settling = 20;
/** Most members of a room that a node reports. */
const maxMembers = 10_000;

export function membersStream(prefix: string): StreamNeeds {
  return {
    name: `${prefix}_members`,
    subjects: [`${prefix}.members.>`],
    storage: "memory",
    messagesOfSubject: 1,
    maxAge: expiryMs,
    maxBytes: -1,
    duplicates: 1000,
    republish: undefined,
  };
}

/**
 * Who is in which room: each node says who of a room is with it, again and again, under a subject for the room and the
 * node. What a dead node said the server forgets after a minute.
 */
export class NatsPresence implements BrokerPresence {
  readonly #link: NatsLink;
  readonly #log: NatsLog;
  readonly #prefix: string;
  readonly #node: string;
  readonly #here = new NodeMembers();
  /** Rooms to be reported. */
  readonly #changed = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  #settling: NodeJS.Timeout | undefined;

  constructor(link: NatsLink, prefix: string, node: string, timeout: number) {
    this.#link = link;
    this.#log = new NatsLog(`${prefix}_members`, `${prefix}.members.`, timeout);
    this.#prefix = prefix;
    this.#node = node;
    this.#timer = setInterval(() => void this.restore(), heartbeatMs);
    this.#timer.unref();
  }

  enter(room: string, member: Member): void {
    this.#here.add(room, member);
    this.#change(room);
  }

  exit(room: string, member: Member): void {
    this.#here.delete(room, member);
    this.#change(room);
  }

  async members(room: string): Promise<readonly Member[]> {
    const filter = `${roomKey(room)}.*`;
    const said = await this.#link.ask(nats => this.#log.read(nats, filter, "all", Number.POSITIVE_INFINITY));
    return said.flatMap(({ text }) => {
      const members = JSON.parse(text) as [session: string, from: string][];
      return members.map(([session, from]) => ({ session, from }));
    });
  }

  /** Says everything again. */
  async restore(): Promise<void> {
    for (const room of this.#here.rooms) this.#changed.add(room);
    await this.#tell();
  }

  /** Nobody is with this node any more. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#settling);
    const rooms = this.#here.rooms;
    this.#here.clear();
    for (const room of rooms) this.#changed.add(room);
    await this.#tell();
  }

  #change(room: string): void {
    this.#changed.add(room);
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined;
      void this.#tell();
    }, settling);
  }

  async #tell(): Promise<void> {
    for (const room of [...this.#changed]) {
      this.#changed.delete(room);
      const members = [...this.#here.of(room)].slice(0, maxMembers);
      const subject = `${this.#prefix}.members.${roomKey(room)}.${this.#node}`;
      try {
        await this.#link.ask(nats => nats.messages.publish(subject, JSON.stringify(members)));
      } catch {
        // The link has logged it; the next heartbeat tries again.
        this.#changed.add(room);
        return;
      }
    }
  }
}
