/**
 * What comes of a request: the exchanges that the pipeline gets, as `METHOD target body-bytes`, then `->`, the statuses
 * that come back, and `closed` where the server ends the connection. A server that neither answers nor ends it, until
 * its time limit, is shown by nothing behind the arrow.
 */
export type Outcome = string;

export interface OddRequest {
  readonly what: string;
  /** The bytes, each further part sent once there is an answer to the one before. */
  readonly parts: readonly string[];
  readonly outcome: Outcome | { readonly fastify: Outcome; readonly uws: Outcome; readonly because: string };
}

export const host = "host: a\r\n";
export const chunked = "transfer-encoding: chunked\r\n";
export const get = (target: string, headers = ""): string =>
  `GET ${target} HTTP/1.1\r\n${host}${headers}\r\n`;
export const post = (headers: string, body: string): string =>
  `POST /a HTTP/1.1\r\n${host}${headers}\r\n${body}`;
/** Put behind a body whose end is in doubt; it must reach nobody. */
export const smuggled = get("/smuggled");

export const waits =
  "uWebSockets.js takes a head that it cannot read for one that is not complete, and waits";
export const answers505 = "uWebSockets.js answers every request line that it does not take with 505";
export const pipelining =
  "uWebSockets.js ends connections that bring a request while the one before is being answered; HTTP lets servers do so, and no current client pipelines";
export const ends =
  "what is wrong is seen in full before the reply, and the connection ends without one where more bytes are there";
export const afterChunks =
  "chunks are read leniently by uWebSockets.js, so that the connection always ends with the reply and nothing behind the body is read";
