import { stateChanged } from "../net/state-changes.js";
import { Code } from "../status/code.js";
import { Backoff } from "./backoff.js";
import { failure, type StreamOutcome, type TransportState } from "./transport.js";

/** Milliseconds after which an address that does not finish connecting counts as failing, and is given up. */
const slowConnectMs = 3_000;
const connectTimeoutMs = 10_000;
/** Milliseconds before a failed address is connected to again, at first and at most. */
const firstPauseMs = 200;
const maxPauseMs = 5_000;
/** Connections in turn that took calls and went away without any response, before the address counts as failing. */
const maxUnresponsive = 3;
/** Calls that wait for a connection. */
const maxQueue = 10_000;

/** A call as a pool sees it. */
export interface PooledCall {
  /** It has ended, or was cancelled. */
  readonly closed: boolean;
  /** A connection that is used for it only where no other can be opened. */
  avoided: object | undefined;
  /** Ends it for a reason that lies in its connection, or in that there is none. */
  conclude(outcome: StreamOutcome): void;
}

/** A connection as a pool sees it. It notifies the pool of changes. */
export interface PooledConnection<S> {
  /** It takes another call. */
  readonly room: boolean;
  /** The peer has responded to some call, or was given none. */
  readonly responded: boolean;
  /** Takes a call; there must be room. */
  adopt(call: S): void;
  /** Takes no more calls and closes once those under way have ended. */
  drain(): void;
  /** Gives it up. */
  abort(reason: string): void;
}

/**
 * The connections to one address, of any protocol: opens one when a call needs it, again after a failure with
 * growing pauses, and more where the open ones have no capacity.
 */
export abstract class ConnectionPool<S extends PooledCall, C extends PooledConnection<S>> {
  readonly #maxConnections: number;
  readonly #onFailing: () => void;
  readonly #backoff = new Backoff(firstPauseMs, maxPauseMs);

  /** Those that take calls; others finish by themselves. */
  #connections: readonly C[] = [];
  /** The one that is not ready yet. */
  #connecting: C | undefined;
  /** It takes longer than it should. */
  #slow = false;
  #connectTimer: NodeJS.Timeout | undefined;
  #backoffTimer: NodeJS.Timeout | undefined;
  /** Why the last attempt to connect failed; undefined after one that did not. */
  #failure: string | undefined;
  /** Connections in turn that became ready and went away before they had brought any response. */
  #unresponsive = 0;
  /** Calls that wait for a connection, oldest first. */
  #queue: S[] = [];
  #closed = false;

  /** `onFailing` is called when connecting has failed. */
  protected constructor(maxConnections: number, onFailing: () => void) {
    this.#maxConnections = maxConnections;
    this.#onFailing = onFailing;
  }

  /** Begins to connect; the connection calls `onReady` or `onClosed`, not from within. */
  protected abstract open(): C;

  get state(): TransportState {
    if (this.#connections.length > 0) return "ready";
    if (this.#failure !== undefined || this.#unresponsive >= maxUnresponsive) return "failing";
    if (this.#connecting === undefined) return "idle";
    return this.#slow ? "failing" : "connecting";
  }

  /** Gives the call to a connection, now or later. */
  protected assign(call: S): void {
    const connection = this.#queue.length > 0 ? undefined : this.#roomFor(call);
    if (connection !== undefined) connection.adopt(call);
    else this.#enqueue(call);
  }

  close(): void {
    this.#closed = true;
    this.#closeWhenIdle();
  }

  /** The connection that was opened last takes calls. */
  onReady(): void {
    clearTimeout(this.#connectTimer);
    this.#connections = [...this.#connections, this.#connecting!];
    this.#connecting = undefined;
    this.#failure = undefined;
    stateChanged();
  }

  /** Some connection takes more calls than before. */
  onRoom(): void {
    if (this.#queue.length > 0) this.#assignQueued();
    if (this.#closed) this.#closeWhenIdle();
  }

  /** The connection takes no new calls. */
  onDraining(connection: C): void {
    this.#removeConnection(connection);
  }

  /** The peer refused a call, and may take others. */
  onRefused(connection: C): void {
    // Others come first from now on.
    if (this.#connections.includes(connection))
      this.#connections = [...this.#connections.filter(other => other !== connection), connection];
  }

  /** The last event of a connection, exactly once. `reason`: why; undefined where it was in order. */
  onClosed(connection: C, reason: string | undefined): void {
    if (connection.responded) this.#backoff.reset();
    if (connection === this.#connecting) {
      this.#connecting = undefined;
      this.#connectFailed(reason ?? "the connection was closed");
      return;
    }
    this.#removeConnection(connection);
  }

  /** A connection that was ready takes no more calls. */
  #removeConnection(connection: C): void {
    const before = this.#connections;
    this.#connections = before.filter(other => other !== connection);
    if (this.#connections.length < before.length)
      this.#unresponsive = connection.responded ? 0 : this.#unresponsive + 1;
    stateChanged();
    if (this.#connections.length === 0 && this.#unresponsive > 1) this.#releaseQueue();
    else this.#assignQueued();
  }

  /** Calls that wait may go elsewhere, or come back to wait until their deadline. */
  #releaseQueue(): void {
    const queue = this.#queue;
    this.#queue = [];
    const text = "the upstream closes its connections before it responds to any call";
    for (const call of queue) failUnsent(call, text, "unsent");
  }

  /** The first connection with room: the others become idle where one is enough. */
  #roomFor({ avoided }: S): C | undefined {
    for (const connection of this.#connections)
      if (connection !== avoided && connection.room) return connection;
    return undefined;
  }

  #enqueue(call: S): void {
    if (this.#connections.length === 0 && this.#failure !== undefined) {
      const text = this.#unreachable();
      queueMicrotask(() => failUnsent(call, text, "declined"));
      return;
    }
    if (this.#queue.length >= maxQueue) this.#queue = this.#queue.filter(({ closed }) => !closed);
    if (this.#queue.length >= maxQueue) {
      queueMicrotask(() => failUnsent(call, `${maxQueue} calls wait for the upstream already`, "declined"));
      return;
    }
    this.#queue.push(call);
    this.#connect();
  }

  /** Gives the calls that wait to connections with room, and opens another where calls are left. */
  #assignQueued(): void {
    const queue = this.#queue;
    const kept: S[] = [];
    let next = 0;
    for (; next < queue.length; next++) {
      const call = queue[next]!;
      if (call.closed) continue;
      const connection = this.#roomFor(call);
      if (connection !== undefined) connection.adopt(call);
      else if (call.avoided !== undefined) kept.push(call);
      else break;
    }
    if (next > 0) queue.splice(0, next, ...kept);
    if (queue.length > 0) this.#connect();
  }

  #connect(): void {
    if (this.#connecting !== undefined || this.#backoffTimer !== undefined) return;
    if (this.#connections.length >= this.#maxConnections) return;
    // A peer that takes connections but no calls is not to be tried again and again at once.
    if (this.#unresponsive > 1) this.#connectLater();
    else this.#openConnection();
  }

  #openConnection(): void {
    const connection = this.open();
    this.#connecting = connection;
    this.#slow = false;
    this.#connectTimer = setTimeout(() => {
      this.#slow = true;
      stateChanged();
      const giveUp = (): void => connection.abort(`not connected within ${connectTimeoutMs} ms`);
      this.#connectTimer = setTimeout(giveUp, connectTimeoutMs - slowConnectMs).unref();
    }, slowConnectMs).unref();
  }

  /** Connecting failed: calls that wait go elsewhere, and it is tried again later. */
  #connectFailed(reason: string): void {
    clearTimeout(this.#connectTimer);
    if (this.#closed && this.#queue.length === 0) return;
    this.#connectLater();
    // Established connections continue, also for calls that wait for another connection.
    if (this.#connections.length > 0) {
      for (const call of this.#queue) call.avoided = undefined;
      this.#assignQueued();
      return;
    }
    this.#failure = reason;
    stateChanged();
    const queue = this.#queue;
    this.#queue = [];
    const text = this.#unreachable();
    for (const call of queue) failUnsent(call, text, "declined");
    this.#onFailing();
    if (this.#closed) this.#closeWhenIdle();
  }

  #connectLater(): void {
    this.#backoffTimer = setTimeout(() => {
      this.#backoffTimer = undefined;
      if (this.#connecting !== undefined || this.#connections.length >= this.#maxConnections) return;
      if (this.#connections.length === 0 || this.#queue.length > 0) this.#openConnection();
    }, this.#backoff.next()).unref();
  }

  #unreachable(): string {
    return `No connection established. Last error: ${this.#failure}`;
  }

  /** After `close`: ends connections without calls. */
  #closeWhenIdle(): void {
    if (this.#queue.some(({ closed }) => !closed)) return;
    clearTimeout(this.#backoffTimer);
    this.#connecting?.abort("closed");
    for (const connection of this.#connections) connection.drain();
  }
}

/** Ends a call that was never sent, unless it was cancelled meanwhile. */
function failUnsent(call: PooledCall, text: string, progress: "declined" | "unsent"): void {
  if (!call.closed) call.conclude(failure(Code.UNAVAILABLE, "connect", text, progress));
}
