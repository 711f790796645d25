import type { Writable } from "node:stream";

/** The parts of `ws` that are used; its types leave these classes out. */
export interface Ws {
  readonly Receiver: new (options: ReceiverOptions) => FrameReceiver;
  readonly PerMessageDeflate: new (options: DeflateOptions) => Deflate;
}

/** Reads the frames of a client (RFC 6455 section 5). Its error has a code, see `closeCodeOf`. */
export interface FrameReceiver extends Pick<Writable, "write"> {
  on(event: "message", listener: (data: Buffer, isBinary: boolean) => void): this;
  on(event: "ping" | "pong", listener: (data: Buffer) => void): this;
  on(event: "conclude", listener: (code: number, reason: Buffer) => void): this;
  on(event: "error", listener: (error: NodeJS.ErrnoException) => void): this;
  on(event: "drain", listener: () => void): this;
}

interface ReceiverOptions {
  readonly isServer: true;
  /** Bytes of a message. */
  readonly maxPayload: number;
  readonly maxFragments: number;
  /** Pieces of a frame, as they came by the network, that wait for the rest of it. */
  readonly maxBufferedChunks: number;
  readonly extensions: Readonly<Record<string, Deflate>>;
}

interface DeflateOptions {
  readonly isServer: true;
  readonly maxPayload: number;
  readonly serverNoContextTakeover: true;
  readonly clientNoContextTakeover: true;
}

/** The extension of RFC 7692. */
export interface Deflate {
  accept(offers: readonly object[]): unknown;
  cleanup(): void;
}

/** Loaded at its first use. */
export async function loadWs(): Promise<Ws> {
  return (await import("ws")) as unknown as Ws;
}

/** The close code for an error in a socket's frames (RFC 6455 section 7.4.1). */
export function closeCodeOf({ code = "" }: NodeJS.ErrnoException): 1002 | 1007 | 1008 | 1009 {
  if (code.startsWith("WS_ERR_UNSUPPORTED_")) return 1009;
  if (code === "WS_ERR_TOO_MANY_BUFFERED_PARTS") return 1008;
  // A message that cannot be inflated is treated like one that is not UTF-8.
  return code === "WS_ERR_INVALID_UTF8" || code.startsWith("Z_") ? 1007 : 1002;
}
