import { requestFailure, TranscodeError } from "../codec/error.js";
import { type Failure, GatewayError, gatewayFailure } from "../status/failure.js";
import type { Reason } from "../status/reasons.js";
import type { Answer, Progress } from "./progress.js";

/** The answer to a request that went wrong; what the client is not told goes into the log. */
export function failed(progress: Progress, error: unknown): Answer {
  if (error instanceof GatewayError) {
    if (error.cause !== undefined) progress.detail = String(error.cause);
    return failureAnswer(progress, error.failure, []);
  }
  if (error instanceof TranscodeError) return failureAnswer(progress, requestFailure(error), []);
  progress.detail = describe(error);
  return failureAnswer(
    progress,
    gatewayFailure("INTERNAL", "the gateway failed; the request id leads to its log"),
    [],
  );
}

/**
 * @param headers of the backend, for the reply
 * @param details the JSON text of each detail
 */
export function failureAnswer(
  progress: Progress,
  failure: Failure,
  headers: readonly [string, string][],
  details: readonly string[] = failure.details.map(detail =>
    progress.snapshot.renderDetail(detail.typeUrl, detail.value),
  ),
): Answer {
  progress.failure = failure;
  const { exchange, snapshot, binding, requestId } = progress;
  const { dialect } = binding ?? snapshot;
  const rendered = dialect.renderFailure(failure, details, {
    requestId,
    path: exchange.path,
  });
  const all: [string, string][] = [["content-type", rendered.contentType], ...headers];
  if (failure.retryAfter !== undefined) all.push(["retry-after", String(failure.retryAfter)]);
  for (const [name, value] of failure.headers) all.push([name, value]);
  if (rendered.status === 401 && !all.some(([name]) => name === "www-authenticate"))
    for (const challenge of binding?.guard?.challenges ?? ["Bearer"])
      all.push(["www-authenticate", challenge]);
  if (failure.allow !== undefined) all.push(["allow", failure.allow.join(", ")]);
  return { status: rendered.status, headers: all, body: rendered.body };
}

/** For the log. */
export function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

export function refuse(reason: Reason, message: string): GatewayError {
  return new GatewayError(gatewayFailure(reason, message));
}
