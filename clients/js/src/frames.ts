/** Where a room is: the number of a message, and the epoch in which it counts. */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

/** A message of a room, as the gateway sends it. Ephemeral ones have neither `seq` nor `epoch`. */
export interface Message extends Position {
  readonly type: "receive-message";
  readonly room_id: string;
  readonly from: string;
  /** Of those that are text; others have `event` and `data`. */
  readonly message: string;
  /** Since 1970, in seconds or, with `realtime.sent_at: milliseconds`, in milliseconds. */
  readonly sent_at: number;
  readonly [field: string]: unknown;
}

/** The members of a room. */
export interface Presence {
  /** Sockets. */
  readonly count: number;
  /** Names, each once, at most 1,000. */
  readonly members: readonly string[];
}

/**
 * Of the stream that feeds a room. `interrupted`: it has ended, and what the backend publishes may be missing until it is
 * `resumed`.
 */
export type FeedState = "interrupted" | "resumed";

/** A frame of the gateway, as far as its type is known. */
export interface ServerFrame {
  readonly type: string;
  readonly id?: number | string;
  readonly room_id?: string;
  readonly [field: string]: unknown;
}

/** A request to the gateway; its id is set when it is sent. */
export interface ClientFrame {
  readonly type: string;
  readonly [field: string]: unknown;
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** Why something did not work. */
export class RealtimeError extends Error {
  override readonly name = "RealtimeError";

  /**
   * @param reason one of the gateway's or of the backend, or of the client itself: CONNECTION_LOST, CLOSED, TIMEOUT,
   * CANCELLED, NOT_JOINED, NO_TOKEN, MESSAGE_TOO_LARGE, QUEUE_FULL, SLOW_READER
   * @param uncertain it may have taken effect: the connection was lost, or the time was over, before there was a response
   * @param frame the gateway's `error`
   */
  constructor(
    readonly reason: string,
    message: string,
    readonly uncertain = false,
    readonly frame: ServerFrame | undefined = undefined,
  ) {
    super(message);
  }

  /** Seconds after which the gateway accepts another attempt. */
  get retryAfter(): number | undefined {
    const wait = this.frame?.retry_after;
    return typeof wait === "number" ? wait : undefined;
  }

  /** Of gRPC, where a call has failed. */
  get code(): number | undefined {
    const code = this.frame?.code;
    return typeof code === "number" ? code : undefined;
  }

  /** It may work if it is tried again. */
  get temporary(): boolean {
    return this.retryAfter !== undefined || passing.has(this.reason);
  }
}

const passing: ReadonlySet<string> = new Set([
  "BROKER_UNAVAILABLE",
  "CONNECTION_LOST",
  "NO_TOKEN",
  "RATE_LIMITED",
  "TOO_MANY_PENDING",
]);

export function refusal(frame: ServerFrame): RealtimeError {
  return new RealtimeError(
    String(frame.reason),
    String(frame.message),
    frame.reason === "BROKER_UNAVAILABLE",
    frame,
  );
}
