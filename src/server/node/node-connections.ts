import type { Socket } from "node:net";
import type { Reason } from "../../status/reasons.js";
import type { NodeExchange } from "./node-exchange.js";

/** Most requests of one connection that may be under way at once (pipelining, RFC 9112 §9.3.2). */
export const maxPipelined = 100;

/** Requests of one connection that begin before a response of it is out. */
const batch = 8;

/** Milliseconds without a response after which more requests begin: a slow one must not hold up all behind it. */
const stallMs = 1000;

/** Bytes of responses that wait for their client, beyond which no further request of its connection is handled. */
const maxUnsentBytes = 1 << 20;

/** The error of a request. */
export type Fault = readonly [reason: Reason, message: string];

/** One connection of a client: the requests on it whose responses are due, in their order. */
export class NodeConnection {
  readonly underWay = new Set<NodeExchange>();
  /** No request behind those that have been accepted is. */
  last = false;
  /** The error found after the requests that are under way. */
  broken: Fault | undefined;
  readonly #handle: (exchange: NodeExchange) => void;
  #begun = 0;
  #allowed = batch;
  #waiting: NodeExchange[] = [];
  #stalled: NodeJS.Timeout | undefined;
  #parked: (() => void) | undefined;

  /** @param handle is given each request when its turn has come */
  constructor(handle: (exchange: NodeExchange) => void) {
    this.#handle = handle;
  }

  /** A request has been accepted: it is handled now, or once those before it leave room. */
  begin(exchange: NodeExchange): void {
    this.underWay.add(exchange);
    if (this.#waiting.length === 0 && this.#hasRoom()) {
      this.#begun++;
      this.#handle(exchange);
      return;
    }
    this.#waiting.push(exchange);
    this.#stalled ??= setTimeout(() => this.#continue(), stallMs);
  }

  /** A response is out. */
  finished(exchange: NodeExchange): void {
    this.underWay.delete(exchange);
    this.#begun--;
    this.#allowed = batch;
    if (this.#waiting.length > 0) {
      this.#beginWaiting();
      this.#stalled?.refresh();
    }
    if (this.underWay.size > 0) {
      this.current?.takeTurn();
      return;
    }
    const resume = this.#parked;
    this.#parked = undefined;
    if (!this.last) resume?.();
  }

  /** Runs once no response is due, unless the connection ends with the last one. */
  whenIdle(resume: () => void): void {
    if (this.underWay.size > 0 || this.last) this.#parked = resume;
    else resume();
  }

  /** The response that is being written, or will be next. */
  get current(): NodeExchange | undefined {
    for (const exchange of this.underWay) return exchange;
    return undefined;
  }

  /** The client has gone. */
  closed(): void {
    clearTimeout(this.#stalled);
    this.#waiting = [];
    this.#parked = undefined;
    // Node.js reports a closed connection only to the response that is being written.
    for (const exchange of this.underWay) exchange.cancellation.cancel();
  }

  #beginWaiting(): void {
    while (this.#waiting.length > 0 && this.#hasRoom()) {
      this.#begun++;
      this.#handle(this.#waiting.shift() as NodeExchange);
    }
    if (this.#waiting.length > 0) return;
    clearTimeout(this.#stalled);
    this.#stalled = undefined;
  }

  /** A request under way may take long, which is no reason to buffer more bytes for the client. */
  #continue(): void {
    this.#allowed = this.#begun + batch;
    this.#beginWaiting();
    if (this.#waiting.length > 0) this.#stalled = setTimeout(() => this.#continue(), stallMs);
  }

  #hasRoom(): boolean {
    if (this.#begun === 0) return true;
    if (this.#begun >= this.#allowed) return false;
    let unsent = 0;
    for (const exchange of this.underWay) unsent += exchange.unsentBytes;
    return unsent < maxUnsentBytes;
  }
}

/** The open connections of a listener and the requests under way on each. */
export class NodeConnections {
  readonly #connections = new Map<Socket, NodeConnection>();
  readonly #handle: (exchange: NodeExchange) => void;

  /** @param handle is given each request when its turn on its connection has come */
  constructor(handle: (exchange: NodeExchange) => void) {
    this.#handle = handle;
  }

  /** The state of a connection, from its first use to its end. */
  of(socket: Socket): NodeConnection {
    const known = this.#connections.get(socket);
    if (known !== undefined) return known;
    const connection = new NodeConnection(this.#handle);
    this.#connections.set(socket, connection);
    // An error without a listener would end the process; `close` reports the end of the connection.
    socket.on("error", () => undefined);
    socket.once("close", () => {
      this.#connections.delete(socket);
      connection.closed();
    });
    // A closed one emits no second event.
    if (socket.destroyed) this.#connections.delete(socket);
    return connection;
  }

  /** The connection was handed over to another owner. */
  release(socket: Socket): void {
    this.#connections.delete(socket);
  }

  /** Ends the connections on which no request has arrived whole; nothing is lost with them. */
  endIdle(): void {
    for (const [socket, { underWay }] of this.#connections) if (underWay.size === 0) socket.destroy();
  }

  destroy(): void {
    for (const socket of this.#connections.keys()) socket.destroy();
  }
}
