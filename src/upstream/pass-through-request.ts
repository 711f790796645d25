import type { IncomingMessage } from "node:http";
import type { Failure } from "../status/failure.js";

export type PassedHeaders = Readonly<Record<string, string | undefined>>;

/** What the gateway says of one request, and is told of it. */
export interface Passed {
  /** What replaces or joins the request's own headers; `undefined` takes one away. */
  readonly headers: PassedHeaders;
  /** Whether a header is not the client's to send, by lower-case name with `-` in place of `_`. */
  readonly ownHeader: (name: string) => boolean;
  /** Bytes. */
  readonly bodyLimit: number;
  /** Why the request has not had its whole reply from a backend. The first of several reasons is the one. */
  failed(failure: Failure): void;
  /** So many bytes of the request's body have come. */
  received(bytes: number): void;
  /** So many bytes of the reply's body go to the client. */
  sent(bytes: number): void;
}

/** What is said of the requests under way. */
export const passed = new WeakMap<IncomingMessage, Passed>();
