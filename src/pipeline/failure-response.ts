import { requestFailure, TranscodeError } from "../codec/error.js";
import { errorStack } from "../net/error-text.js";
import type { HeaderList } from "../net/headers.js";
import { failureHeaders } from "../protocols/grpc-status.js";
import { failureMetadata } from "../protocols/metadata.js";
import type { CallMetadata, Protocol } from "../protocols/protocol.js";
import { type Failure, GatewayError, gatewayFailure } from "../status/failure.js";
import type { HttpResponse, ReadonlyContext } from "./context.js";

/** The response to a request that failed; details that the client must not see go into the log. */
export function errorResponse(context: ReadonlyContext, error: unknown): HttpResponse {
  if (error instanceof GatewayError) {
    const detail = error.cause === undefined ? undefined : String(error.cause);
    return failureResponse(context, error.failure, [], detail);
  }
  if (error instanceof TranscodeError) return failureResponse(context, requestFailure(error), []);
  const failure = gatewayFailure("INTERNAL", "the gateway failed; the request id leads to its log");
  return failureResponse(context, failure, [], errorStack(error));
}

/**
 * @param headers of the backend, for the response
 * @param detail for the log
 * @param known the JSON text of each detail of the failure, where it was rendered already
 */
export function failureResponse(
  context: ReadonlyContext,
  failure: Failure,
  headers: HeaderList,
  detail?: string,
  known?: readonly string[],
): HttpResponse {
  const { request, routes, binding, protocol, requestId } = context;
  if (protocol !== undefined) return protocolFailure(context, protocol, failure, detail);
  if (failure.location !== undefined) {
    const found: [string, string][] = [
      ["location", failure.location],
      ["cache-control", "no-store"],
    ];
    return { status: 302, headers: found, body: "", failure, detail };
  }
  const details = known ?? failure.details.map(each => routes.renderDetail(each.typeUrl, each.value));
  const { dialect } = binding ?? routes;
  const rendered =
    failure.page === undefined
      ? dialect.renderFailure(failure, details, { requestId, path: request.path })
      : { status: failure.httpStatus, contentType: "text/html; charset=utf-8", body: failure.page };
  const all: [string, string][] = [["content-type", rendered.contentType]];
  for (const [name, value] of headers) all.push([name, value]);
  if (failure.retryAfter !== undefined) all.push(["retry-after", String(failure.retryAfter)]);
  for (const [name, value] of failure.headers) all.push([name, value]);
  if (rendered.status === 401) addChallenges(all, context);
  if (failure.allow !== undefined) all.push(["allow", failure.allow.join(", ")]);
  return { status: rendered.status, headers: all, body: rendered.body, failure, detail };
}

/**
 * The same in the form of the caller's protocol.
 * @param metadata of the backend, as it came
 */
export function protocolFailure(
  context: ReadonlyContext,
  protocol: Protocol,
  failure: Failure,
  detail?: string,
  metadata?: CallMetadata,
): HttpResponse {
  const { request, binding, routes } = context;
  const names = binding?.kind === "rpc" ? binding.route.policy.responseNames : [];
  const passed = metadata === undefined ? withoutMetadata : failureMetadata(names, metadata);
  const response = protocol.failure(request, failure, passed, (url, value) =>
    routes.renderDetail(url, value),
  );
  if (response.status === 401) addChallenges(response.headers, context);
  return { ...response, failure, detail };
}

/** A refusal in a line of text, where it is not known which form the client reads. */
export function textResponse(failure: Failure): HttpResponse {
  const headers: [string, string][] = [
    ["content-type", "text/plain; charset=utf-8"],
    ...failureHeaders(failure),
  ];
  return { status: failure.httpStatus, headers, body: `${failure.message}\n`, failure };
}

const withoutMetadata: CallMetadata = { headers: [], trailers: [] };

/** RFC 9110 §11.6.1: a 401 has at least one. */
function addChallenges(headers: [string, string][], { binding }: ReadonlyContext): void {
  if (headers.some(([name]) => name === "www-authenticate")) return;
  for (const challenge of binding?.guard?.challenges ?? ["Bearer"])
    headers.push(["www-authenticate", challenge]);
}
