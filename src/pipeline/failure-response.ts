import { requestFailure, TranscodeError } from "../codec/error.js";
import { type Failure, GatewayError, gatewayFailure } from "../status/failure.js";
import type { HttpResponse, ReadonlyContext } from "./context.js";

/** The response to a request that went wrong; what the client must not see goes into the log. */
export function errorResponse(context: ReadonlyContext, error: unknown): HttpResponse {
  if (error instanceof GatewayError) {
    const detail = error.cause === undefined ? undefined : String(error.cause);
    return failureResponse(context, error.failure, [], detail);
  }
  if (error instanceof TranscodeError) return failureResponse(context, requestFailure(error), []);
  const failure = gatewayFailure("INTERNAL", "the gateway failed; the request id leads to its log");
  return failureResponse(context, failure, [], describe(error));
}

/**
 * @param headers of the backend, for the response
 * @param detail for the log
 * @param details the JSON text of each detail of the failure
 */
export function failureResponse(
  { request, routes, binding, requestId }: ReadonlyContext,
  failure: Failure,
  headers: readonly (readonly [string, string])[],
  detail?: string,
  details: readonly string[] = failure.details.map(each => routes.renderDetail(each.typeUrl, each.value)),
): HttpResponse {
  const { dialect } = binding ?? routes;
  const rendered = dialect.renderFailure(failure, details, {
    requestId,
    path: request.path,
  });
  const all: [string, string][] = [["content-type", rendered.contentType]];
  for (const [name, value] of headers) all.push([name, value]);
  if (failure.retryAfter !== undefined) all.push(["retry-after", String(failure.retryAfter)]);
  for (const [name, value] of failure.headers) all.push([name, value]);
  if (rendered.status === 401 && !all.some(([name]) => name === "www-authenticate"))
    for (const challenge of binding?.guard?.challenges ?? ["Bearer"])
      all.push(["www-authenticate", challenge]);
  if (failure.allow !== undefined) all.push(["allow", failure.allow.join(", ")]);
  return { status: rendered.status, headers: all, body: rendered.body, failure, detail };
}

/** For the log. */
export function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
