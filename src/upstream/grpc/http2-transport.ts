import type { KeepaliveOptions } from "../../h2/keepalive.js";
import { Code } from "../../status/code.js";
import { Backoff } from "../backoff.js";
import type { EndpointAddress, UpstreamTarget } from "../balancing/target.js";
import type { ChannelOptions } from "../options.js";
import {
  failure,
  type Transport,
  type TransportCall,
  type TransportListener,
  type TransportState,
  type TransportStream,
  type TransportType,
} from "../transport.js";
import { CallStream } from "./call-stream.js";
import { createSecrets, openSocket, type Secrets } from "./connect.js";
import { ClientConnection, type ConnectionHost } from "./connection.js";
import { checkHead, RequestHeads } from "./request-head.js";

/** Milliseconds after which an address that does not finish connecting counts as failing, and is given up. */
const slowConnectMs = 3_000;
const connectTimeoutMs = 10_000;
/** Milliseconds before a failed address is connected to again, at first and at most. */
const firstPauseMs = 200;
const maxPauseMs = 5_000;
/** Milliseconds between pings, however often the peer finds them too many. */
const maxKeepaliveMs = 3_600_000;
/** Connections to one address, where the peer takes too few streams on each. */
const maxConnections = 8;
/** Connections in turn that took streams and went away without any response, before the address counts as failing. */
const maxUnresponsive = 3;
/** Calls that wait for a stream. */
const maxQueue = 10_000;

/** `transport: lean` */
export const http2Transport: TransportType = {
  connector(options) {
    const secrets = createSecrets(options);
    return (address, target, onFailing) => new Http2Transport(address, target, secrets, options, onFailing);
  },
};

/** gRPC over our own HTTP/2 connections. */
export class Http2Transport implements Transport, ConnectionHost {
  readonly #address: EndpointAddress;
  readonly #target: UpstreamTarget;
  readonly #secrets: Secrets | undefined;
  readonly #maxMessageSize: number;
  readonly #heads: RequestHeads;
  readonly #onFailing: () => void;
  readonly #backoff = new Backoff(firstPauseMs, maxPauseMs);
  #keepalive: KeepaliveOptions | undefined;

  /** Those that take streams; others finish by themselves. */
  #connections: readonly ClientConnection[] = [];
  /** The one that is not ready yet. */
  #connecting: ClientConnection | undefined;
  #connectingSince = 0;
  #connectTimer: NodeJS.Timeout | undefined;
  #backoffTimer: NodeJS.Timeout | undefined;
  /** Why the last attempt to connect failed; undefined after one that did not. */
  #failure: string | undefined;
  /** Connections in turn that became ready and went away before they had brought any response. */
  #unresponsive = 0;
  /** Calls that wait for a stream, oldest first. */
  #queue: CallStream[] = [];
  #closed = false;

  /** `onFailing` is called when connecting has failed. */
  constructor(
    address: EndpointAddress,
    target: UpstreamTarget,
    secrets: Secrets | undefined,
    options: ChannelOptions,
    onFailing: () => void,
  ) {
    this.#address = address;
    this.#target = target;
    this.#secrets = secrets;
    this.#maxMessageSize = options.maxMessageSize;
    this.#keepalive = options.keepalive;
    this.#onFailing = onFailing;
    this.#heads = new RequestHeads({
      secure: secrets !== undefined,
      authority: secrets?.serverName ?? target.authority,
      userAgent: options.userAgent ?? "protogate",
    });
  }

  get state(): TransportState {
    if (this.#connections.length > 0) return "ready";
    if (this.#failure !== undefined || this.#unresponsive >= maxUnresponsive) return "failing";
    if (this.#connecting === undefined) return "idle";
    return performance.now() - this.#connectingSince > slowConnectMs ? "failing" : "connecting";
  }

  start(call: TransportCall, listener: TransportListener): TransportStream {
    const block = this.#heads.block(call.path);
    const size = checkHead(block, call.metadata);
    const stream = new CallStream(call, listener, this.#maxMessageSize, block, size);
    const connection = this.#queue.length > 0 ? undefined : this.#roomFor(stream);
    if (connection !== undefined) connection.adopt(stream);
    else this.#enqueue(stream);
    return stream;
  }

  close(): void {
    this.#closed = true;
    this.#closeWhenIdle();
  }

  onReady(): void {
    clearTimeout(this.#connectTimer);
    this.#connections = [...this.#connections, this.#connecting!];
    this.#connecting = undefined;
    this.#failure = undefined;
  }

  onRoom(): void {
    if (this.#queue.length > 0) this.#assignQueued();
    if (this.#closed) this.#closeWhenIdle();
  }

  onDraining(connection: ClientConnection): void {
    this.#removeConnection(connection);
  }

  onRefused(connection: ClientConnection): void {
    // Others come first from now on.
    if (this.#connections.includes(connection))
      this.#connections = [...this.#connections.filter(other => other !== connection), connection];
  }

  onTooManyPings(): void {
    const keepalive = this.#keepalive;
    if (keepalive !== undefined)
      this.#keepalive = { ...keepalive, time: Math.min(2 * keepalive.time, maxKeepaliveMs) };
  }

  onClosed(connection: ClientConnection, reason: string | undefined): void {
    if (connection.responded) this.#backoff.reset();
    if (connection === this.#connecting) {
      this.#connecting = undefined;
      this.#connectFailed(reason ?? "the connection was closed");
      return;
    }
    this.#removeConnection(connection);
  }

  /** A connection that was ready takes no more streams. */
  #removeConnection(connection: ClientConnection): void {
    const before = this.#connections;
    this.#connections = before.filter(other => other !== connection);
    if (this.#connections.length < before.length)
      this.#unresponsive = connection.responded ? 0 : this.#unresponsive + 1;
    if (this.#connections.length === 0 && this.#unresponsive > 1) this.#releaseQueue();
    else this.#assignQueued();
  }

  /** Calls that wait may go elsewhere, or come back to wait until their deadline. */
  #releaseQueue(): void {
    const queue = this.#queue;
    this.#queue = [];
    const text = "the upstream closes its connections before it responds to any call";
    for (const stream of queue) failUnsent(stream, text, "unsent");
  }

  /** The first connection with room: the others become idle where one is enough. */
  #roomFor({ avoided }: CallStream): ClientConnection | undefined {
    for (const connection of this.#connections)
      if (connection !== avoided && connection.room) return connection;
    return undefined;
  }

  #enqueue(stream: CallStream): void {
    if (this.#connections.length === 0 && this.#failure !== undefined) {
      const text = this.#unreachable();
      queueMicrotask(() => failUnsent(stream, text, "declined"));
      return;
    }
    if (this.#queue.length >= maxQueue) this.#queue = this.#queue.filter(({ closed }) => !closed);
    if (this.#queue.length >= maxQueue) {
      queueMicrotask(() => failUnsent(stream, `${maxQueue} calls wait for the upstream already`, "declined"));
      return;
    }
    this.#queue.push(stream);
    this.#connect();
  }

  /** Gives the calls that wait to connections with room, and opens another where calls are left. */
  #assignQueued(): void {
    const queue = this.#queue;
    const kept: CallStream[] = [];
    let next = 0;
    for (; next < queue.length; next++) {
      const stream = queue[next]!;
      if (stream.closed) continue;
      const connection = this.#roomFor(stream);
      if (connection !== undefined) connection.adopt(stream);
      else if (stream.avoided !== undefined) kept.push(stream);
      else break;
    }
    if (next > 0) queue.splice(0, next, ...kept);
    if (queue.length > 0) this.#connect();
  }

  #connect(): void {
    if (this.#connecting !== undefined || this.#backoffTimer !== undefined) return;
    if (this.#connections.length >= maxConnections) return;
    // A peer that takes connections but no calls is not to be tried again and again at once.
    if (this.#unresponsive > 1) this.#connectLater();
    else this.#openConnection();
  }

  #openConnection(): void {
    this.#connectingSince = performance.now();
    const connection = new ClientConnection(
      handlers => openSocket(this.#address, this.#target, this.#secrets, handlers),
      this.#keepalive,
      this,
    );
    this.#connecting = connection;
    this.#connectTimer = setTimeout(
      () => connection.abort(`not connected within ${connectTimeoutMs} ms`),
      connectTimeoutMs,
    ).unref();
  }

  /** Connecting failed: calls that wait go elsewhere, and it is tried again later. */
  #connectFailed(reason: string): void {
    clearTimeout(this.#connectTimer);
    if (this.#closed && this.#queue.length === 0) return;
    this.#connectLater();
    // What is connected already goes on, for those too that looked for another connection.
    if (this.#connections.length > 0) {
      for (const stream of this.#queue) stream.avoided = undefined;
      this.#assignQueued();
      return;
    }
    this.#failure = reason;
    const queue = this.#queue;
    this.#queue = [];
    const text = this.#unreachable();
    for (const stream of queue) failUnsent(stream, text, "declined");
    this.#onFailing();
    if (this.#closed) this.#closeWhenIdle();
  }

  #connectLater(): void {
    this.#backoffTimer = setTimeout(() => {
      this.#backoffTimer = undefined;
      if (this.#connecting !== undefined || this.#connections.length >= maxConnections) return;
      if (this.#connections.length === 0 || this.#queue.length > 0) this.#openConnection();
    }, this.#backoff.next()).unref();
  }

  #unreachable(): string {
    return `No connection established. Last error: ${this.#failure}`;
  }

  /** After `close`: ends what no call needs. */
  #closeWhenIdle(): void {
    if (this.#queue.some(({ closed }) => !closed)) return;
    clearTimeout(this.#backoffTimer);
    this.#connecting?.abort("closed");
    for (const connection of this.#connections) connection.drain();
  }
}

/** Ends a call that was never sent, unless it was cancelled meanwhile. */
function failUnsent(stream: CallStream, text: string, progress: "declined" | "unsent"): void {
  if (!stream.closed) stream.conclude(failure(Code.UNAVAILABLE, "connect", text, progress));
}
