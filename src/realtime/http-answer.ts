import type { HttpResponse } from "uWebSockets.js";
import { STATUS_CODES } from "node:http";
import type { Failure } from "../status/failure.js";
import { renderFailure } from "../status/profiles.js";

/** A request for a WebSocket that may still be answered. */
export interface Answerable {
  readonly response: HttpResponse;
  /** The response is dead: the client has gone, or has its answer. */
  over: boolean;
}

export function answerable(response: HttpResponse): Answerable {
  const to = { response, over: false };
  response.onAborted(() => {
    to.over = true;
  });
  return to;
}

/** What a refusal carries beside the failure's own headers. */
export type MoreHeaders = readonly (readonly [name: string, value: string])[];

/**
 * Answers an error, with the same body as the HTTP listener would, and ends the connection: what a client has sent
 * behind its request are frames, and must not be read as further requests.
 * @returns the length of the body in bytes
 */
export function answerFailure(
  to: Answerable,
  failure: Failure,
  requestId: string,
  path: string,
  more: MoreHeaders,
): number {
  const { status, contentType, body } = renderFailure("status", failure, [], { requestId, path });
  const headers: [string, string][] = [
    ["content-type", contentType],
    ["x-request-id", requestId],
  ];
  if (failure.retryAfter !== undefined) headers.push(["retry-after", String(failure.retryAfter)]);
  for (const [name, value] of [...failure.headers, ...more]) headers.push([name, value]);
  if (!to.over) {
    to.over = true;
    to.response.cork(() => {
      to.response.writeStatus(`${status} ${STATUS_CODES[status] ?? "unknown"}`);
      for (const [name, value] of headers) if (fieldValue.test(value)) to.response.writeHeader(name, value);
      to.response.end(body, true);
    });
  }
  return Buffer.byteLength(body);
}

/** What a header can carry as uWebSockets.js writes it, without line ends above all. */
const fieldValue = /^[\t\x20-\x7e]*$/;
