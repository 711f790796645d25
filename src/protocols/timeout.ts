import { gatewayError } from "../status/failure.js";

const unitMilliseconds: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 0.001,
  n: 0.000001,
};

/**
 * Milliseconds of a `grpc-timeout` header: at most 8 digits and a unit (gRPC over HTTP/2, Timeout).
 * Undefined where it is malformed.
 */
export function parseGrpcTimeout(text: string): number | undefined {
  const match = /^([0-9]{1,8})([HMSmun])$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * (unitMilliseconds[match[2] ?? ""] ?? 0);
}

/** Milliseconds of a `connect-timeout-ms` header: at most 10 digits. Undefined where it is malformed. */
export function parseConnectTimeout(text: string): number | undefined {
  return /^[0-9]{1,10}$/.test(text) ? Number(text) : undefined;
}

/**
 * The time that a client gives a call, undefined where it names none.
 * @throws GatewayError INVALID_TIMEOUT; UPSTREAM_TIMEOUT for one that has passed already
 */
export function timeoutOf(
  value: string | undefined,
  name: string,
  parse: (text: string) => number | undefined,
): number | undefined {
  if (value === undefined) return undefined;
  const milliseconds = parse(value);
  if (milliseconds === undefined)
    throw gatewayError("INVALID_TIMEOUT", `${name} "${value.slice(0, 32)}" is not a time in its form`);
  if (milliseconds <= 0) throw gatewayError("UPSTREAM_TIMEOUT", `${name} leaves the call no time`);
  return milliseconds;
}
