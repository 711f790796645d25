import { statusDialect } from "../../dialects/status.js";
import type { Failure } from "../../status/failure.js";

/** What a refusal carries beside the failure's own headers. */
export type MoreHeaders = readonly (readonly [name: string, value: string])[];

/** What a request for a WebSocket is refused with: the same body as the HTTP listener would send. */
export interface Refusal {
  readonly status: number;
  readonly headers: MoreHeaders;
  readonly body: string;
}

export function refusalOf(failure: Failure, requestId: string, path: string, more: MoreHeaders): Refusal {
  const { status, contentType, body } = statusDialect.renderFailure(failure, [], { requestId, path });
  const headers: [string, string][] = [
    ["content-type", contentType],
    ["x-request-id", requestId],
  ];
  if (failure.retryAfter !== undefined) headers.push(["retry-after", String(failure.retryAfter)]);
  for (const [name, value] of [...failure.headers, ...more]) headers.push([name, value]);
  return { status, headers: headers.filter(([, value]) => fieldValue.test(value)), body };
}

/** What a header can carry as the engines write it, without line ends above all. */
const fieldValue = /^[\t\x20-\x7e]*$/;
