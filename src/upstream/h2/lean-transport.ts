import { Code } from "../../status/code.js";
import { Backoff } from "../backoff.js";
import type { ChannelOptions, KeepaliveOptions } from "../options.js";
import type { Address, Target } from "../target.js";
import type {
  Transport,
  TransportCall,
  TransportListener,
  TransportState,
  TransportStream,
} from "../transport.js";
import { failure } from "./answer-status.js";
import { CallStream } from "./call-stream.js";
import { openSocket, type Secrets } from "./connect.js";
import { Connection, type ConnectionHost } from "./connection.js";
import { checkHead, RequestHeads } from "./request-head.js";

/** Milliseconds after which an address that does not finish connecting counts as failing, and is given up. */
const slowConnect = 3_000;
const connectTimeout = 10_000;
/** Milliseconds before a failed address is connected to again, at first and at most. */
const firstPause = 200;
const maxPause = 5_000;
/** Milliseconds between pings, however often the peer finds them too many. */
const maxKeepaliveTime = 3_600_000;
/** Connections to one address, where the peer takes too few streams on each. */
const maxConnections = 8;
/** Calls that wait for a stream. */
const maxQueue = 10_000;

/** gRPC over our own HTTP/2 connections. */
export class LeanTransport implements Transport, ConnectionHost {
  readonly #address: Address;
  readonly #target: Target;
  readonly #secrets: Secrets | undefined;
  readonly #maxMessageSize: number;
  readonly #heads: RequestHeads;
  readonly #onFailing: () => void;
  readonly #backoff = new Backoff(firstPause, maxPause);
  #keepalive: KeepaliveOptions | undefined;

  /** Those that take streams; others finish by themselves. */
  #connections: readonly Connection[] = [];
  /** The one that is not ready yet. */
  #connecting: Connection | undefined;
  #connectingSince = 0;
  #connectTimer: NodeJS.Timeout | undefined;
  #backoffTimer: NodeJS.Timeout | undefined;
  /** Why the last attempt to connect failed; undefined after one that did not. */
  #failure: string | undefined;
  /** Calls that wait for a stream, oldest first. */
  #queue: CallStream[] = [];
  #closed = false;

  /** `onFailing` is called when connecting has failed. */
  constructor(
    address: Address,
    target: Target,
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
    if (this.#failure !== undefined) return "failing";
    if (this.#connecting === undefined) return "idle";
    return performance.now() - this.#connectingSince > slowConnect ? "failing" : "connecting";
  }

  start(call: TransportCall, listener: TransportListener): TransportStream {
    const block = this.#heads.block(call.path);
    const size = checkHead(block, call.metadata);
    const stream = new CallStream(call, listener, this.#maxMessageSize, block, size);
    const connection = this.#withRoom();
    if (connection !== undefined) connection.adopt(stream);
    else this.#wait(stream);
    return stream;
  }

  close(): void {
    this.#closed = true;
    this.#settle();
  }

  onReady(): void {
    clearTimeout(this.#connectTimer);
    this.#connections = [...this.#connections, this.#connecting!];
    this.#connecting = undefined;
    this.#failure = undefined;
  }

  onRoom(): void {
    if (this.#queue.length > 0) this.#serve();
    if (this.#closed) this.#settle();
  }

  onDraining(): void {
    this.#connections = this.#connections.filter(({ ready }) => ready);
    if (this.#queue.length > 0) this.#serve();
  }

  onTooManyPings(): void {
    const keepalive = this.#keepalive;
    if (keepalive !== undefined)
      this.#keepalive = { ...keepalive, time: Math.min(2 * keepalive.time, maxKeepaliveTime) };
  }

  onClosed(connection: Connection, reason: string | undefined): void {
    if (connection.answered) this.#backoff.reset();
    if (connection === this.#connecting) {
      this.#connecting = undefined;
      this.#fail(reason ?? "the connection was closed");
      return;
    }
    this.#connections = this.#connections.filter(other => other !== connection);
    // Calls wait, and the peer takes connections but no calls: not to be tried again and again at once.
    if (this.#connections.length === 0 && this.#queue.length > 0 && !connection.answered)
      this.#fail(reason ?? "the upstream takes no calls");
    else this.#serve();
  }

  /** The first connection with room: the others become idle where one is enough. */
  #withRoom(): Connection | undefined {
    if (this.#queue.length > 0) return undefined;
    for (const connection of this.#connections) if (connection.room) return connection;
    return undefined;
  }

  #wait(stream: CallStream): void {
    if (this.#connections.length === 0 && this.#failure !== undefined) {
      const text = this.#unreachable();
      queueMicrotask(() => refuse(stream, text));
      return;
    }
    if (this.#queue.length >= maxQueue) this.#queue = this.#queue.filter(({ over }) => !over);
    if (this.#queue.length >= maxQueue) {
      queueMicrotask(() => refuse(stream, `${maxQueue} calls wait for the upstream already`));
      return;
    }
    this.#queue.push(stream);
    this.#connect();
  }

  /** Gives places to the calls that wait, and sees that there will be more. */
  #serve(): void {
    const queue = this.#queue;
    let next = 0;
    for (const connection of this.#connections) {
      for (; next < queue.length && connection.room; next++) {
        const stream = queue[next]!;
        if (!stream.over) connection.adopt(stream);
      }
    }
    if (next > 0) queue.splice(0, next);
    if (queue.length > 0) this.#connect();
  }

  #connect(): void {
    if (this.#connecting !== undefined || this.#backoffTimer !== undefined) return;
    if (this.#connections.length >= maxConnections) return;
    this.#connectingSince = performance.now();
    const connection = new Connection(
      handlers => openSocket(this.#address, this.#target, this.#secrets, handlers),
      this.#keepalive,
      this,
    );
    this.#connecting = connection;
    this.#connectTimer = setTimeout(
      () => connection.abort(`not connected within ${connectTimeout} ms`),
      connectTimeout,
    ).unref();
  }

  /** Connecting failed: calls that wait go elsewhere, and it is tried again later. */
  #fail(reason: string): void {
    clearTimeout(this.#connectTimer);
    if (this.#closed && this.#queue.length === 0) return;
    this.#backoffTimer = setTimeout(() => {
      this.#backoffTimer = undefined;
      if (this.#connections.length === 0 || this.#queue.length > 0) this.#connect();
    }, this.#backoff.next()).unref();
    // What is connected already goes on.
    if (this.#connections.length > 0) return;
    this.#failure = reason;
    const queue = this.#queue;
    this.#queue = [];
    const text = this.#unreachable();
    for (const stream of queue) refuse(stream, text);
    this.#onFailing();
    if (this.#closed) this.#settle();
  }

  #unreachable(): string {
    return `No connection established. Last error: ${this.#failure}`;
  }

  /** After `close`: ends what no call needs. */
  #settle(): void {
    if (this.#queue.some(({ over }) => !over)) return;
    clearTimeout(this.#backoffTimer);
    this.#connecting?.abort("closed");
    for (const connection of this.#connections) connection.drain();
  }
}

/** Ends a call that was never sent, unless it was cancelled meanwhile. */
function refuse(stream: CallStream, text: string): void {
  if (!stream.over) stream.conclude(failure(Code.UNAVAILABLE, "connect", text, false));
}
