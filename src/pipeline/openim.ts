import type { Identity } from "../auth/identity.js";
import type { EndpointAnswer } from "../bindings/endpoint.js";
import { openimNames } from "../bindings/openim.js";
import type { Exchange } from "../server/exchange.js";
import { GatewayError, gatewayFailure } from "../status/failure.js";
import { openimSuccess } from "../status/openim.js";

/**
 * The client's name for what it does: required of POST, as OpenIM does.
 * @throws GatewayError MISSING_HEADER; INVALID_HEADER where metadata cannot carry it
 */
export function requireOperationId(exchange: Pick<Exchange, "method" | "header">): void {
  const operationId = exchange.header("operationid");
  if (operationId === undefined || operationId === "") {
    if (exchange.method !== "POST") return;
    throw new GatewayError(gatewayFailure("MISSING_HEADER", "header must have operationID"));
  }
  if (!printable.test(operationId))
    throw new GatewayError(gatewayFailure("INVALID_HEADER", "operationID must be printable ASCII"));
}

type Told = Pick<Identity, "metadata">;

/**
 * The caller as an OpenIM backend is told of it: `operationid`, the request's id where the client sent none; `connid`,
 * the request's id too, as HTTP has no lasting connection; and what is known of an identity.
 * @throws GatewayError CREDENTIALS_INVALID where the user ID is none that metadata can carry
 */
export function openimCaller(
  exchange: Pick<Exchange, "header">,
  identity: Identity | undefined,
  requestId: string,
): Told {
  const operationId = exchange.header("operationid") || requestId;
  const call = [["operationid", operationId] as const, ["connid", requestId] as const];
  return { metadata: identity === undefined ? call : [...call, ...identityMetadata(identity)] };
}

/** Identities are shared between requests, and what is told of one never changes. */
const told = new WeakMap<Identity, Told["metadata"]>();

function identityMetadata(identity: Identity): Told["metadata"] {
  let metadata = told.get(identity);
  if (metadata === undefined) {
    metadata = describe(identity);
    told.set(identity, metadata);
  }
  return metadata;
}

/**
 * `opuserid`, `platform` and `opusertype`. What the provider has claims sent as goes with them; backends read of all
 * that is not OpenIM's own only what `customheader` names.
 */
function describe({ subject, claims, metadata }: Identity): Told["metadata"] {
  if (!printable.test(subject))
    throw new GatewayError(gatewayFailure("CREDENTIALS_INVALID", "the user ID must be printable ASCII"));
  const entries: [string, string][] = [["opuserid", subject]];
  const platform = platforms[Number(claims.PlatformID ?? claims.platformID)];
  if (platform !== undefined) entries.push(["platform", platform]);
  const userType = Number(claims.UserType ?? claims.userType);
  if (userType === 1 || userType === 2) {
    entries.push(["customheader", "opUserType"], ["opusertype", String(userType)]);
  }
  for (const [name, value] of metadata) {
    if (!openimNames.has(name)) entries.push(["customheader", name], [name, value]);
  }
  return entries;
}

/** What the gateway answers itself, in OpenIM's envelope; what is not a success in JSON stays as it is. */
export function openimAnswer(answer: EndpointAnswer): EndpointAnswer {
  const { status, body } = answer;
  return status === 200 && typeof body === "string" ? { ...answer, body: openimSuccess(body) } : answer;
}

/** Names of platforms by `PlatformID`, which counts from 1. */
const platforms: readonly (string | undefined)[] = [
  undefined,
  "IOS",
  "Android",
  "Windows",
  "OSX",
  "Web",
  "MiniWeb",
  "Linux",
  "APad",
  "IPad",
  "Admin",
  "HarmonyOS",
];

const printable = /^[\x20-\x7e]+$/;
