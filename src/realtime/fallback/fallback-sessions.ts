import type { Cancellation } from "../../net/cancellation.js";
import { FlushQueue } from "../../net/flush-queue.js";
import { whenReady } from "../../net/when-ready.js";
import { gatewayError } from "../../status/failure.js";
import type { Realtime } from "../realtime.js";
import type { Publisher } from "../rooms/connection.js";
import type { Socket } from "../rooms/socket.js";
import { Topics } from "../rooms/topics.js";
import { abandoned, admitSocket, opened, type PendingSocket } from "../sockets/admission.js";
import { SocketEvents } from "../sockets/socket-events.js";
import { type FallbackConnection, type FallbackOwner, sessionNotFound } from "./fallback-connection.js";
import { readFrameLines } from "./frame-lines.js";
import { OutgoingFrame } from "./outgoing-frame.js";
import { PollConnection, type PollTimes } from "./poll-connection.js";
import type { SessionRelay, SessionRequest } from "./session-relay.js";
import { StreamConnection } from "./stream-connection.js";

/** Milliseconds between two looks at all sessions. */
const tickMs = 1000;
/** A comment is written after at most 15 s of silence. */
const commentMs = 14_000;
const pollTimes: PollTimes = { waitMs: 25_000, silenceMs: 30_000, lastPollMs: 2000 };

/** The sessions of this process without a WebSocket. */
export class FallbackSessions implements Publisher, FallbackOwner {
  readonly events: SocketEvents;
  readonly topics = new Topics<FallbackConnection>();
  readonly realtime: Realtime;
  readonly prefix: string;
  readonly #relay: SessionRelay | undefined;
  readonly #idleMs: number;
  readonly #connections = new Map<string, FallbackConnection>();
  #timer: NodeJS.Timeout | undefined;
  readonly #toFlush = new FlushQueue();

  /**
   * @param idleMs milliseconds after which a silent client, also without a request after a ping, is gone
   * @param relay undefined where this process is the only one
   */
  constructor(realtime: Realtime, idleMs: number, relay: SessionRelay | undefined) {
    this.realtime = realtime;
    this.#relay = relay;
    this.prefix = relay?.prefix ?? "";
    this.#idleMs = idleMs;
    this.events = new SocketEvents(realtime);
    realtime.attach(this);
  }

  get draining(): boolean {
    return this.realtime.draining;
  }

  /**
   * Refuses secrets of which it is certain that no worker has their session.
   * @throws GatewayError SESSION_NOT_FOUND
   */
  requireKnown(secret: string): void {
    if (!this.#connections.has(secret) && this.#relay?.reaches(secret) !== true) throw sessionNotFound();
  }

  /**
   * The body of the response to a request for a session, which another worker may have.
   * @throws GatewayError (or rejects with it) SESSION_NOT_FOUND, and as the connection does
   */
  respond(request: SessionRequest, cancellation: Cancellation): string | Promise<string> {
    const { secret } = request;
    if (!this.#connections.has(secret) && this.#relay?.reaches(secret) === true)
      return this.#relay.pass(request, cancellation);
    return this.respondHere(request, cancellation);
  }

  /** As `respond`, for sessions of this process. */
  respondHere(request: SessionRequest, cancellation: Cancellation): string | Promise<string> {
    const { action, secret, number, body } = request;
    const connection = this.#connections.get(secret);
    if (connection === undefined) throw sessionNotFound();
    switch (action) {
      case "receive":
        connection.receive(number, readFrameLines(body, this.realtime.settings.limits.message));
        return "";
      case "poll":
        if (!(connection instanceof PollConnection)) throw sessionNotFound();
        return connection.poll(number, cancellation);
      case "leave":
        connection.leave();
        return "";
    }
  }

  publish(topic: string, text: string): void {
    const frame = new OutgoingFrame(text);
    for (const connection of this.topics.subscribersOf(topic) ?? []) connection.deliver(frame);
  }

  flushLater(connection: FallbackConnection): void {
    this.#toFlush.add(connection);
  }

  /**
   * Opens a session whose frames go out as a stream.
   * @param pongs the client responds to pings, and is gone where it does not
   * @throws GatewayError (or rejects with it) where it is refused
   */
  openStream(pending: PendingSocket, pongs: boolean): StreamConnection | Promise<StreamConnection> {
    const times = { commentMs, idleMs: pongs ? this.#idleMs : undefined };
    return this.#open(pending, socket => new StreamConnection(this, socket, times));
  }

  /**
   * Opens a session whose frames go out by polls.
   * @throws GatewayError (or rejects with it) where it is refused
   */
  openPoll(pending: PendingSocket): PollConnection | Promise<PollConnection> {
    return this.#open(pending, socket => new PollConnection(this, socket, pollTimes));
  }

  removed(connection: FallbackConnection): void {
    if (!this.#connections.delete(connection.secret)) return;
    this.realtime.metrics.fallback[connection.transport]--;
    if (this.#connections.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #open<C extends FallbackConnection>(
    pending: PendingSocket,
    connect: (socket: Socket) => C,
  ): C | Promise<C> {
    return whenReady(admitSocket(this.realtime, pending), socket => {
      if (pending.clientClosed()) {
        abandoned(this.realtime, socket);
        throw gatewayError("CLIENT_CLOSED", "the client has gone");
      }
      opened(this.realtime);
      const connection = connect(socket);
      this.#connections.set(connection.secret, connection);
      this.realtime.metrics.fallback[connection.transport]++;
      this.#timer ??= setInterval(() => this.#tick(), tickMs).unref();
      this.events.opened(socket, connection);
      return connection;
    });
  }

  #tick(): void {
    const now = performance.now();
    for (const connection of this.#connections.values()) connection.tick(now);
  }
}
