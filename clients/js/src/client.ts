import { Emitter } from "./emitter.js";
import type { ClientFrame, Json, ServerFrame } from "./frames.js";
import { RealtimeError, refusal } from "./frames.js";
import { Link, type State, type TokenSource } from "./link.js";
import { Room, type RoomLink, type RoomOptions } from "./room.js";
import { type Transport, type WebSocketConstructor, webSocketTransport } from "./transport.js";

export interface ClientOptions {
  /** Such as wss://api.example.com/ws; in a page also /ws. */
  readonly url: string;
  /** Sent as `Bearer`; a function is called for each connection, and before the token expires. */
  readonly token?: TokenSource | undefined;
  /** In the order in which they are tried. Default: `"websocket"`. */
  readonly transports?: readonly ("websocket" | Transport)[];
  /** Replaces the global one, which Node.js 20 does not have. */
  readonly webSocket?: WebSocketConstructor | undefined;
  /** Milliseconds that a transport may take to open. Default 5,000. */
  readonly connectTimeout?: number;
  /** Milliseconds without a frame after which a connection is closed that owes a response or a pong. Default 5,000. */
  readonly responseTimeout?: number;
  /** Milliseconds of silence after which a ping is sent. Default 20,000. */
  readonly heartbeat?: number;
  /** Milliseconds before connecting again: the first wait, doubled each time, and the longest. Default 500, 15,000. */
  readonly backoff?: { readonly min?: number; readonly max?: number };
  /** Milliseconds before transports earlier in `transports` than the open one are tried: first, longest. Default 60,000, 600,000. */
  readonly upgrade?: { readonly min?: number; readonly max?: number };
  /** Frames that are sent at once after silence, and each second, as `realtime.limits` allow. Default 120, 18. */
  readonly rate?: { readonly burst?: number; readonly perSecond?: number };
  /** Messages that may wait in each room to be sent. Default 100. */
  readonly queue?: number;
  /** Largest frame that is sent, bytes, as `realtime.limits.message`. Default 65,536. */
  readonly maxFrameBytes?: number;
}

/** The part of an `AbortSignal` that is used. */
export interface Signal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

export interface CallOptions {
  readonly signal?: Signal;
  /** Milliseconds until the response, or of a stream the first event. Default 30,000. */
  readonly timeout?: number;
}

export interface ClientEvents {
  state: State;
  /** A token could not be had, or was refused, while the connection is open. */
  error: RealtimeError;
}

interface Pending {
  readonly onFrame: ((frame: ServerFrame) => void) | undefined;
  resolve(frame: ServerFrame): void;
  reject(error: Error): void;
}

/** Events that a stream may be ahead of its reader. */
const maxUnread = 10_000;

/** A client of one gateway: rooms, calls and streams over one connection, which it keeps. */
export class Client {
  readonly #events = new Emitter<ClientEvents>();
  readonly #rooms = new Map<string, Room>();
  readonly #pending = new Map<number, Pending>();
  readonly #token: TokenSource | undefined;
  readonly #maxFrameBytes: number;
  readonly #link: Link;
  readonly #roomLink: RoomLink;
  /** Called when the connection opens, or the client is closed. */
  readonly #waiters = new Set<() => void>();
  #lastId = 0;

  constructor(options: ClientOptions) {
    const { token, transports = ["websocket"], queue = 100 } = options;
    this.#token = token;
    this.#maxFrameBytes = options.maxFrameBytes ?? 65_536;
    const client = this;
    const linkOptions = {
      url: absolute(options.url),
      token,
      transports: transports.map(each =>
        each === "websocket" ? webSocketTransport(options.webSocket) : each,
      ),
      connectTimeout: options.connectTimeout ?? 5000,
      responseTimeout: options.responseTimeout ?? 5000,
      heartbeat: options.heartbeat ?? 20_000,
      backoff: { min: 500, max: 15_000, ...options.backoff },
      upgrade: { min: 60_000, max: 600_000, ...options.upgrade },
      rate: { burst: 120, perSecond: 18, ...options.rate },
    };
    this.#link = new Link(linkOptions, {
      state: state => this.#stateChanged(state),
      opened: () => {
        for (const room of [...this.#rooms.values()]) room.opened();
      },
      frame: frame => this.#receive(frame),
      lost: code => this.#lost(code),
      get waiting() {
        return client.#pending.size > 0;
      },
      get busy() {
        return this.waiting || [...client.#rooms.values()].some(room => room.joining);
      },
    });
    this.#roomLink = {
      get open() {
        return client.state.state === "open";
      },
      keys: true,
      queue,
      retryDelay: linkOptions.backoff.min,
      request: (frame, onResponse) => this.#request(frame, onResponse).response,
      remember: room => {
        if (this.state.state === "closed") throw new RealtimeError("CLOSED", "the client is closed");
        this.#rooms.set(room.name, room);
      },
      forget: room => {
        if (this.#rooms.get(room.name) === room) this.#rooms.delete(room.name);
      },
    };
  }

  get state(): State {
    return this.#link.state;
  }

  /** @returns removes the listener */
  on<Name extends keyof ClientEvents>(name: Name, listener: (event: ClientEvents[Name]) => void): () => void {
    return this.#events.on(name, listener);
  }

  /** Connects, at once also where it waits to do so. Rooms and calls do so by themselves. */
  connect(): void {
    this.#link.connect();
  }

  /** The room of that name: the same one until it is left. */
  room(name: string, options: RoomOptions = {}): Room {
    let room = this.#rooms.get(name);
    if (room === undefined) {
      room = new Room(name, this.#roomLink, options);
      this.#rooms.set(name, room);
    }
    if (this.state.state === "idle") this.connect();
    return room;
  }

  /** Calls a unary method, such as `chat.v1.Rooms/GetHistory`. Never sent twice. */
  async call<Body = Json>(method: string, body: object = {}, options: CallOptions = {}): Promise<Body> {
    for await (const frame of this.#run(method, body, options))
      if (frame.type === "reply") return frame.body as Body;
      else break;
    throw new RealtimeError("NOT_UNARY", `${method} is a stream; expected client.stream`, true);
  }

  /** Calls a method that streams; leaving the loop cancels it. */
  async *stream<Body = Json>(
    method: string,
    body: object = {},
    options: CallOptions = {},
  ): AsyncGenerator<Body, void, void> {
    for await (const frame of this.#run(method, body, options)) yield frame.body as Body;
  }

  /** Leaves everything, for good. */
  close(): void {
    for (const room of [...this.#rooms.values()]) room.closed();
    this.#link.close();
  }

  async *#run(
    method: string,
    body: object,
    { signal, timeout = 30_000 }: CallOptions,
  ): AsyncGenerator<ServerFrame, void, void> {
    const unread: ServerFrame[] = [];
    let wake = (): void => undefined;
    let over: { readonly error: unknown } | undefined;
    const end = (error: unknown): void => {
      over ??= { error };
      wake();
    };
    const abort = (): void =>
      end(signal?.reason ?? new RealtimeError("CANCELLED", "the call was cancelled", true));
    const late = setTimeout(
      () => end(new RealtimeError("TIMEOUT", `${method} took longer than ${timeout} ms`, true)),
      timeout,
    );
    signal?.addEventListener("abort", abort);
    let id: number | undefined;
    try {
      if (signal?.aborted) throw signal.reason;
      await Promise.race([this.#opened(), new Promise<void>(resolve => (wake = resolve))]);
      if (over === undefined) {
        const sent = this.#request({ type: "call", method, body }, frame => {
          clearTimeout(late);
          if (frame.type === "event") unread.push(frame);
          if (unread.length > maxUnread)
            end(new RealtimeError("SLOW_READER", `${maxUnread} events of ${method} are unread`));
          wake();
        });
        ({ id } = sent);
        sent.response.then(frame => {
          if (frame.type === "reply") unread.push(frame);
          end(undefined);
        }, end);
      }
      for (;;) {
        const frame = unread.shift();
        if (frame !== undefined) yield frame;
        else if (over !== undefined) break;
        else await new Promise<void>(resolve => (wake = resolve));
      }
      if (over.error !== undefined) throw over.error;
    } finally {
      clearTimeout(late);
      signal?.removeEventListener("abort", abort);
      if (id !== undefined && this.#pending.delete(id))
        this.#link.send(JSON.stringify({ type: "cancel", id }));
    }
  }

  /** Resolves when the connection is open. @throws RealtimeError CLOSED */
  async #opened(): Promise<void> {
    if (this.state.state === "idle") this.connect();
    while (this.state.state !== "open") {
      if (this.state.state === "closed") throw new RealtimeError("CLOSED", "the client is closed");
      await new Promise<void>(resolve => this.#waiters.add(resolve));
    }
  }

  /** @param onFrame runs at once with each frame that has the id */
  #request(
    frame: ClientFrame,
    onFrame?: (frame: ServerFrame) => void,
  ): { readonly id: number; readonly response: Promise<ServerFrame> } {
    const id = ++this.#lastId;
    const text = JSON.stringify({ ...frame, id });
    const response = new Promise<ServerFrame>((resolve, reject) => {
      if (
        text.length * 3 > this.#maxFrameBytes &&
        new TextEncoder().encode(text).length > this.#maxFrameBytes
      ) {
        reject(new RealtimeError("MESSAGE_TOO_LARGE", `a frame may have ${this.#maxFrameBytes} bytes`));
        return;
      }
      this.#pending.set(id, { onFrame, resolve, reject });
      if (this.#link.send(text)) return;
      this.#pending.delete(id);
      reject(new RealtimeError("CONNECTION_LOST", "there is no connection"));
    });
    return { id, response };
  }

  #receive(frame: ServerFrame): void {
    if (frame.id !== undefined) {
      const pending = this.#pending.get(frame.id as number);
      if (pending === undefined) return;
      if (frame.type !== "event") this.#pending.delete(frame.id as number);
      pending.onFrame?.(frame);
      if (frame.type === "error") pending.reject(refusal(frame));
      else if (frame.type !== "event") pending.resolve(frame);
    } else if (frame.type === "expiring" && frame.room_id === undefined) {
      void this.#refresh();
    } else if (frame.room_id !== undefined) {
      this.#rooms.get(frame.room_id)?.receive(frame);
    }
  }

  async #refresh(): Promise<void> {
    if (typeof this.#token !== "function") return;
    try {
      const token = await this.#token("expiring");
      await this.#request({ type: "refresh", token }).response;
    } catch (error) {
      const known = error instanceof RealtimeError;
      this.#events.emit("error", known ? error : new RealtimeError("NO_TOKEN", String(error)));
    }
  }

  #stateChanged(state: State): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
    if (state.state === "closed") for (const room of [...this.#rooms.values()]) room.closed();
    this.#events.emit("state", state);
  }

  #lost(code: number | undefined): void {
    for (const room of this.#rooms.values()) room.lost();
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending)
      reject(
        code === 1009
          ? new RealtimeError("MESSAGE_TOO_LARGE", "the gateway takes no frame as large as that")
          : new RealtimeError("CONNECTION_LOST", "the connection was lost", true),
      );
  }
}

/** In a page, `/ws` is of its own origin. */
function absolute(url: string): string {
  const { location } = globalThis as { location?: { readonly href: string } };
  const { href } = new URL(url, location?.href);
  return href.replace(/^http/, "ws");
}
