import { createHash } from "node:crypto";
import { isRecord } from "../../auth/claims.js";
import type { Identity } from "../../auth/identity.js";
import type { Broker, BrokerPresence, Member } from "../brokers/broker.js";
import { CloseCode } from "../chat/frames.js";
import type { Command } from "./command.js";
import type { OpenSockets } from "./open-sockets.js";
import type { Socket } from "./socket.js";

/** How many sockets a user may have of one class, such as one on each platform. */
export interface SessionRule {
  /** The key of a user's classes: `claim.…`, or `subject` where all sockets of a user are one class. */
  readonly key: string;
  readonly max: number;
  /** The action for one more. */
  readonly over: "kick_oldest" | "refuse";
}

export interface SessionClassesOwner {
  readonly broker: Broker;
  readonly open: OpenSockets;
  log(error: unknown, what: string): void;
}

/** The prefix of a class's name in presence: no room has a control character in its name. */
const classMark = "\u0001";

/** Whether it is a room, and no class of sessions. */
export function isRoomName(name: string): boolean {
  return !name.startsWith(classMark);
}

/** The sockets of each user by class, on all nodes: the members of a hidden room, by the time of their opening. */
export class SessionClasses {
  readonly #owner: SessionClassesOwner;
  /** Of this node, in the order of their opening. */
  readonly #local = new Map<string, Set<Socket>>();
  readonly #classes = new WeakMap<Socket, readonly string[]>();
  rules: readonly SessionRule[] = [];

  constructor(owner: SessionClassesOwner) {
    this.#owner = owner;
  }

  opened(socket: Socket): void {
    if (this.rules.length === 0 || socket.identity === undefined) return;
    const joined: string[] = [];
    this.#classes.set(socket, joined);
    for (const rule of this.rules) {
      const name = classOf(rule, socket.identity);
      if (name === undefined || joined.includes(name)) continue;
      joined.push(name);
      const sockets = this.#local.get(name) ?? new Set();
      this.#local.set(name, sockets.add(socket));
      const { presence } = this.#owner.broker;
      if (presence === undefined) this.#limitLocal(rule, sockets);
      else
        this.#limitAll(rule, name, socket, presence).catch((error: unknown) => {
          this.#owner.log(error, "sessions of a user on other gateways could not be counted");
          this.#limitLocal(rule, sockets);
        });
    }
  }

  /** The socket is over, or about to be. */
  left(socket: Socket): void {
    const joined = this.#classes.get(socket);
    if (joined === undefined) return;
    this.#classes.delete(socket);
    for (const name of joined) {
      const sockets = this.#local.get(name);
      sockets?.delete(socket);
      if (sockets?.size === 0) this.#local.delete(name);
      this.#owner.broker.presence?.exit(name, { session: socket.id, from: "" });
    }
  }

  /** Where no other node has any, or none can be reached. */
  #limitLocal({ max, over }: SessionRule, sockets: ReadonlySet<Socket>): void {
    const all = [...sockets];
    const ended = over === "refuse" ? all.slice(max) : all.slice(0, Math.max(0, all.length - max));
    const [code, reason] = closing[over];
    for (const socket of ended) this.#owner.open.end(socket, code, reason);
  }

  async #limitAll(rule: SessionRule, name: string, socket: Socket, presence: BrokerPresence): Promise<void> {
    // Clocks of nodes differ: the new socket comes after all open ones.
    const times = (await presence.members(name)).map(({ from }) => Number(from));
    if (socket.closed) return;
    presence.enter(name, {
      session: socket.id,
      from: String(Math.max(Date.now(), ...times.map(at => at + 1))),
    });
    const all = (await presence.members(name)).toSorted(byAge);
    if (rule.over === "refuse") {
      const index = all.findIndex(({ session }) => session === socket.id);
      if (index >= rule.max) this.#owner.open.end(socket, ...closing.refuse);
      return;
    }
    for (const { session } of all.slice(0, Math.max(0, all.length - rule.max))) await this.#end(session);
  }

  async #end(session: string): Promise<void> {
    const [code, reason] = closing.kick_oldest;
    const local = this.#owner.open.get(session);
    if (local !== undefined) {
      this.#owner.open.end(local, code, reason);
      return;
    }
    const command: Command = { do: "end", who: { session }, code, reason };
    await this.#owner.broker.signal(JSON.stringify({ command }));
  }
}

const closing = {
  kick_oldest: [CloseCode.replaced, '{"reason":"SESSION_REPLACED"}'],
  refuse: [CloseCode.tooManySessions, '{"reason":"TOO_MANY_SESSIONS"}'],
} as const;

function byAge(a: Member, b: Member): number {
  return Number(a.from) - Number(b.from) || (a.session < b.session ? -1 : 1);
}

/** The name of a caller's class in presence; undefined where the caller has no such claim. */
export function classOf({ key }: SessionRule, { subject, provider, claims }: Identity): string | undefined {
  const value = key === "subject" ? "" : claimAt(claims, key.split(".").slice(1));
  if (value === undefined || value === null) return undefined;
  const text = JSON.stringify([key, provider, subject, value]);
  return classMark + createHash("sha256").update(text).digest("hex").slice(0, 40);
}

function claimAt(claims: Identity["claims"], names: readonly string[]): unknown {
  let value: unknown = claims;
  for (const name of names) {
    if (!isRecord(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}
