import type { Passage } from "../bindings/guard.js";
import type { Binding, Snapshot } from "../bindings/snapshot.js";
import type { Exchange, HeaderList } from "../server/exchange.js";
import type { Failure } from "../status/failure.js";

/** What an exchange is answered with. */
export interface Answer {
  readonly status: number;
  /** True where the reply is out already: it was passed through. */
  readonly sent?: boolean;
  readonly headers: (readonly [string, string])[];
  readonly body: string | Uint8Array;
}

/** Without a promise where the answer is known at once; undefined where `#finish` will be called with it. */
export type Outcome = Answer | undefined | Promise<Answer | undefined>;

/** What is known of one request while it is answered; log line and metrics are made from it. */
export interface Progress {
  readonly exchange: Exchange;
  readonly snapshot: Snapshot;
  readonly requestId: string;
  readonly started: number;
  binding: Binding | undefined;
  /** What the guard of the binding has made of the request; undefined without one. */
  passage: Passage | undefined;
  requestBytes: number;
  /** Of a reply that was passed through. */
  relayedBytes: number;
  upstreamSeconds: number | undefined;
  failure: Failure | undefined;
  /** What went wrong, for the log only. */
  detail: string | undefined;
}

/** CORS and what is configured for every reply. */
export function everyReply({ exchange, snapshot }: Progress): HeaderList {
  return snapshot.replyHeaders(exchange.header("origin"), exchange.encrypted);
}
