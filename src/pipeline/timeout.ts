import { parseGrpcTimeout } from "../protocols/timeout.js";
import type { InboundRequest } from "../server/inbound-request.js";
import { gatewayError } from "../status/failure.js";

/**
 * Milliseconds of an `x-request-timeout` header: `250ms`, `1.5s`, `2m`, or a bare number of seconds.
 * Undefined where it is malformed.
 */
function parseRequestTimeout(text: string): number | undefined {
  const match = /^([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m)?$/.exec(text);
  if (match === null) return undefined;
  const unit = match[2] === "ms" ? 1 : match[2] === "m" ? 60_000 : 1_000;
  return Number(match[1]) * unit;
}

/**
 * Milliseconds that a call may take: the client's `grpc-timeout` or `x-request-timeout`, and never
 * more than the route allows.
 * @throws GatewayError INVALID_TIMEOUT
 */
export function clientTimeout(request: InboundRequest, allowed: number): number {
  let timeout = allowed;
  const grpc = request.header("grpc-timeout");
  if (grpc !== undefined)
    timeout = Math.min(timeout, parsed("grpc-timeout", parseGrpcTimeout(grpc), "100m or 5S"));
  const plain = request.header("x-request-timeout");
  if (plain !== undefined) {
    timeout = Math.min(timeout, parsed("x-request-timeout", parseRequestTimeout(plain), "250ms, 1.5s or 2m"));
  }
  return timeout;
}

function parsed(name: string, milliseconds: number | undefined, examples: string): number {
  if (milliseconds !== undefined && milliseconds > 0) return milliseconds;
  throw gatewayError("INVALID_TIMEOUT", `${name} must be a positive time such as ${examples}`);
}
