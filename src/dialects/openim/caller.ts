import type { HeaderList } from "../../net/headers.js";
import { gatewayError } from "../../status/failure.js";
import type { AcceptRule, CallerMetadata, DialectIdentity } from "../dialect.js";

/** The operation id of the client is required in a POST, as OpenIM's own gateway requires it. */
export const openimAccept: AcceptRule = {
  when: "a POST has no header operationID",
  header: {
    name: "operationID",
    description: "The client's name for what it does, for logs.",
    requiredOf: ["POST"],
    schema: { type: "string", pattern: "^[\\x21-\\x7e]([\\x20-\\x7e]*[\\x21-\\x7e])?$" },
  },
  check(request) {
    const operationId = request.header("operationid");
    if (operationId === undefined || operationId === "") {
      if (request.method !== "POST") return;
      throw gatewayError("MISSING_HEADER", "header must have operationID");
    }
    if (!printable.test(operationId))
      throw gatewayError("INVALID_HEADER", "operationID must be printable ASCII");
  },
};

/**
 * The caller as OpenIM's backends expect it: `operationid`, the request's id where the client sent none; `connid`, the
 * request's id too, as HTTP has no lasting connection; and what is known of an identity.
 */
export const openimCallerMetadata: CallerMetadata = {
  names: new Set(["operationid", "opuserid", "opusertype", "platform", "connid", "customheader"]),
  entries(request, identity, requestId) {
    const operationId = request.header("operationid") || requestId;
    const call = [["operationid", operationId] as const, ["connid", requestId] as const];
    return identity === undefined ? call : [...call, ...identityMetadata(identity)];
  },
};

/** Identities are shared between requests, so their metadata is computed once each. */
const metadataByIdentity = new WeakMap<DialectIdentity, HeaderList>();

function identityMetadata(identity: DialectIdentity): HeaderList {
  let metadata = metadataByIdentity.get(identity);
  if (metadata === undefined) {
    metadata = describeIdentity(identity);
    metadataByIdentity.set(identity, metadata);
  }
  return metadata;
}

/**
 * `opuserid`, `platform` and `opusertype`, then the claims that the provider forwards; of entries that are not OpenIM's
 * own, backends read only those that `customheader` names.
 */
function describeIdentity({ subject, claims, metadata }: DialectIdentity): HeaderList {
  if (!printable.test(subject))
    throw gatewayError("CREDENTIALS_INVALID", "the user ID must be printable ASCII");
  const entries: [string, string][] = [["opuserid", subject]];
  const platform = platforms[Number(claims.PlatformID ?? claims.platformID)];
  if (platform !== undefined) entries.push(["platform", platform]);
  const userType = Number(claims.UserType ?? claims.userType);
  if (userType === 1 || userType === 2) {
    entries.push(["customheader", "opUserType"], ["opusertype", String(userType)]);
  }
  for (const [name, value] of metadata) {
    if (!openimCallerMetadata.names.has(name)) entries.push(["customheader", name], [name, value]);
  }
  return entries;
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
