import type { HttpResponse } from "uWebSockets.js";
import { STATUS_CODES } from "node:http";
import { type Failure, GatewayError, gatewayFailure } from "../status/failure.js";
import { type ErrorProfile, renderFailure } from "../status/profiles.js";

/** An HTTP request on the realtime listener that may still be answered. */
export interface Answerable {
  readonly response: HttpResponse;
  /** The client has gone: the response is dead. */
  aborted: boolean;
}

export function answerable(response: HttpResponse): Answerable {
  const answer: Answerable = { response, aborted: false };
  response.onAborted(() => {
    answer.aborted = true;
  });
  return answer;
}

export function answer(
  to: Answerable,
  status: number,
  headers: readonly (readonly [name: string, value: string])[],
  body: string | Uint8Array,
): void {
  if (to.aborted) return;
  to.aborted = true;
  to.response.cork(() => {
    to.response.writeStatus(`${status} ${STATUS_CODES[status] ?? "unknown"}`);
    for (const [name, value] of headers) if (fieldValue.test(value)) to.response.writeHeader(name, value);
    to.response.end(body);
  });
}

/** What a header can carry as uWebSockets.js writes it, without line ends above all. */
const fieldValue = /^[\t\x20-\x7e]*$/;

/** Answers an error, with the same body as the HTTP listener would. */
export function answerFailure(
  to: Answerable,
  failure: Failure,
  profile: ErrorProfile,
  requestId: string,
  path: string,
): void {
  const { status, contentType, body } = renderFailure(profile, failure, [], { requestId, path });
  const headers: [string, string][] = [
    ["content-type", contentType],
    ["x-request-id", requestId],
  ];
  for (const [name, value] of failure.headers) headers.push([name, value]);
  if (failure.retryAfter !== undefined) headers.push(["retry-after", String(failure.retryAfter)]);
  if (failure.allow !== undefined) headers.push(["allow", failure.allow.join(", ")]);
  answer(to, status, headers, body);
}

/** What an error says to a client; one that was not foreseen says nothing of itself. */
export function failureOf(error: unknown): Failure {
  if (error instanceof GatewayError) return error.failure;
  return gatewayFailure("INTERNAL", "the gateway failed; its log says more");
}
