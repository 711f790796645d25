import type { BrokerPresence } from "../brokers/broker.js";
import { CloseCode } from "../chat/frames.js";
import type { Socket } from "./socket.js";

/** All sockets of a subject, or one of them. */
export type SocketTarget = { readonly subject: string } | { readonly session: string };

export type DisconnectRequest = SocketTarget & {
  /** The reason in the close frame, at most 123 bytes. */
  readonly reason: string;
};

/** Counts the sockets of users. */
interface SocketSessions {
  opened(socket: Socket): void;
  /** Called once more for a socket that has left. */
  left(socket: Socket): void;
}

/** Milliseconds that a closing socket has to read the frames sent. */
const closeTimeoutMs = 30_000;

/** The sockets of this node, from their opening to their end. */
export class OpenSockets {
  readonly #all = new Map<string, Socket>();
  readonly #ending = new Set<Socket>();

  /** @param leaveAll takes a socket out of its rooms; returns them, with its name in each */
  constructor(
    readonly leaveAll: (socket: Socket) => ReadonlyMap<string, string>,
    readonly presence: BrokerPresence | undefined,
    readonly sessions: SocketSessions,
  ) {}

  get size(): number {
    return this.#all.size;
  }

  get(id: string): Socket | undefined {
    return this.#all.get(id);
  }

  [Symbol.iterator](): IterableIterator<Socket> {
    return this.#all.values();
  }

  add(socket: Socket): void {
    this.#all.set(socket.id, socket);
    this.presence?.open(socket.id, socket.subject);
    this.sessions.opened(socket);
  }

  /** The socket is over. @returns the rooms that it was in until then, or until it was ended, with its name there */
  remove(socket: Socket): ReadonlyMap<string, string> {
    const left = socket.pendingClose?.left ?? this.leaveAll(socket);
    if (this.#all.delete(socket.id)) this.presence?.close(socket.id);
    this.sessions.left(socket);
    this.#ending.delete(socket);
    return left;
  }

  /** Takes the socket out of everything; it is closed with that code once its client has read the frames sent. */
  end(socket: Socket, code: number, reason: string): void {
    if (socket.closed) return;
    const left = new Map<string, string>();
    socket.beginClose({ code, reason, until: performance.now() + closeTimeoutMs, left });
    this.#ending.add(socket);
    this.sessions.left(socket);
    for (const [room, name] of this.leaveAll(socket)) left.set(room, name);
    if (socket.buffered === 0) socket.end(code, reason);
  }

  /** Ends sockets whose time is over. */
  tick(): void {
    const now = performance.now();
    for (const socket of this.#ending) {
      if (socket.pendingClose !== undefined && socket.pendingClose.until <= now) socket.terminate();
    }
  }

  /** Those of a subject, or the one of a session. */
  of(who: SocketTarget): readonly Socket[] {
    return "session" in who
      ? [this.#all.get(who.session)].filter(socket => socket !== undefined)
      : [...this.#all.values()].filter(socket => socket.subject === who.subject);
  }

  /** Closes the sockets of a subject, or one of them. @returns how many */
  disconnect(who: DisconnectRequest): number {
    const found = this.of(who);
    for (const socket of found) this.end(socket, CloseCode.disconnected, who.reason);
    return found.length;
  }
}
