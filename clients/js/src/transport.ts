import type { ServerFrame } from "./frames.js";

/** How frames travel. */
export interface Transport {
  readonly name: string;
  /** Begins to connect. It calls `events` later, never before it returns. */
  connect(request: TransportRequest, events: TransportEvents): Carrier;
  /** Of a fallback: tries the transports before it while it is open. */
  upgrade?(options: UpgradeOptions, owner: UpgradeOwner): Upgrade;
}

export interface Upgrade {
  /** A connection is being tried, beside the one that is open. */
  readonly trying: boolean;
  /** A connection is open by that transport. */
  begin(current: Transport): void;
  /** The connection is over. */
  stop(): void;
  /** Another network may let through what the one before did not. */
  networkChanged(): void;
  /** `busy` of the owner may be over. */
  settle(): void;
}

export interface UpgradeOptions {
  /** In the order in which they are preferred. */
  readonly transports: readonly Transport[];
  /** Milliseconds before the first try and the longest, each without the random reduction. */
  readonly upgrade: { readonly min: number; readonly max: number };
  /** Milliseconds, of each transport. */
  readonly connectTimeout: number;
}

export interface UpgradeOwner {
  /** Rejects where there is no token. */
  request(): Promise<TransportRequest>;
  /** Calls are under way, or rooms are being joined: they stay on their connection. */
  readonly busy: boolean;
  /** Goes on by an open connection. @returns the connection before it */
  move(transport: Transport, connect: (events: TransportEvents) => Carrier): Carrier | undefined;
}

export interface TransportRequest {
  /** Of a WebSocket, such as wss://api.example.com/ws. */
  readonly url: string;
  /** Undefined without authentication. */
  readonly token: string | undefined;
}

export interface TransportEvents {
  opened(): void;
  frame(frame: ServerFrame): void;
  /** Called once, also where it never opened. @param reason as the gateway wrote it, most often JSON */
  closed(code: number, reason: string): void;
}

/** One connection. */
export interface Carrier {
  send(text: string): void;
  /** Nothing is called after that. */
  close(): void;
}

/** The part of a WebSocket that is used, in browsers, Node.js and the package `ws`. */
export interface WebSocketLike {
  onopen: unknown;
  onmessage: unknown;
  onclose: unknown;
  onerror: unknown;
  send(text: string): void;
  close(): void;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocketLike;

/** @param given replaces the global one, which Node.js 20 does not have */
export function webSocketTransport(given?: WebSocketConstructor): Transport {
  return {
    name: "websocket",
    connect({ url, token }, events) {
      const WebSocket = given ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
      if (WebSocket === undefined)
        throw new TypeError("there is no WebSocket here: pass one, such as `webSocket` of the package ws");
      const socket = new WebSocket(url, token === undefined ? [] : ["bearer", token]);
      socket.onopen = () => events.opened();
      socket.onmessage = ({ data }: { data: unknown }) => {
        const frame = typeof data === "string" ? readFrame(data) : undefined;
        if (frame !== undefined) events.frame(frame);
      };
      socket.onclose = ({ code, reason }: { code: number; reason: string }) => events.closed(code, reason);
      // The error is reported by `closed`.
      socket.onerror = () => undefined;
      return {
        send: text => socket.send(text),
        close() {
          socket.onopen = socket.onmessage = socket.onclose = null;
          socket.close();
        },
      };
    },
  };
}

/** @returns undefined for any text but a frame */
export function readFrame(text: string): ServerFrame | undefined {
  try {
    const frame: unknown = JSON.parse(text);
    return isFrame(frame) ? frame : undefined;
  } catch {
    return undefined;
  }
}

export function isFrame(value: unknown): value is ServerFrame {
  return typeof (value as ServerFrame | null)?.type === "string";
}
