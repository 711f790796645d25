import type { Loaded } from "../../../config/schema.js";
import { duration, listOf, mapping, text } from "../../../config/schema.js";
import { Type } from "../../../config/type-builder.js";
import { errorMessage } from "../../../net/error-text.js";
import { type GatewayError, gatewayError } from "../../../status/failure.js";
import type { AuthMetrics } from "../../auth-metrics.js";
import { type Caller, shownHeaders } from "../../caller.js";
import { bareClaims, metadataMapper, subjectOf } from "../../claims.js";
import type { Identity } from "../../identity.js";
import { AccessDenial, CredentialRefusal, type Provider, type SecurityScheme } from "../../provider.js";
import { claimsToMetadata } from "../fields.js";

/** Common to services that decide on requests. */
export const decisionFields = {
  headers: listOf(text("header", { description: "A header name, in any case." }), {
    description: "Request headers that the service sees.",
    default: ["authorization"],
  }),
  subject: text("header", {
    description: "The header of its response with the subject.",
    default: "x-user-id",
  }),
  scopes: Type.Optional(
    text("header", {
      description: "The header of its response with the scopes, spaces or commas between them.",
    }),
  ),
  timeout: duration({ description: "How long the service has to respond.", default: "2s" }),
  claims_to_metadata: claimsToMetadata,
};

const DecisionSchema = mapping(decisionFields, "");
export type DecisionConfig = Loaded<typeof DecisionSchema>;

/** The decision of a service on a request. Names of headers are in lower case. */
export type AccessDecision =
  | { readonly allowed: true; readonly headers: ReadonlyMap<string, string> }
  | {
      readonly allowed: false;
      /** As the service responded, or 403. */
      readonly status: number;
      readonly headers: ReadonlyMap<string, string>;
    };

/** Characters of the headers of a response that become claims, names included. */
const maxClaimChars = 16_384;
/** Names that mean something between two peers, or to a client, and nothing about a caller. */
const notClaims: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "date",
  "keep-alive",
  "set-cookie",
  "transfer-encoding",
]);

/**
 * A provider that has a service decide on each request. Its response is reused for no other request. Any response but
 * a clear decision refuses the request with 503.
 */
export function externalProvider(
  name: string,
  config: DecisionConfig,
  metrics: AuthMetrics,
  decide: (caller: Caller, seen: ReadonlyMap<string, string>) => Promise<AccessDecision>,
  close: () => void,
): Provider {
  const metadataOf = metadataMapper(config.claims_to_metadata);
  const identify = async (caller: Caller): Promise<Identity> => {
    let decision: AccessDecision;
    try {
      decision = await decide(caller, new Map(shownHeaders(caller, config.headers)));
    } catch (error) {
      if (error instanceof CredentialRefusal) throw error;
      throw new CredentialRefusal("unavailable", `the authorization service ${errorMessage(error)}`);
    }
    if (!decision.allowed) throw denial(decision.status, decision.headers);
    const claims = bareClaims(Object.fromEntries(claimsOf(decision.headers)));
    const scopes = config.scopes === undefined ? undefined : decision.headers.get(config.scopes);
    return Object.freeze({
      provider: name,
      subject: subjectOf(claims[config.subject], config.subject),
      scopes: new Set((scopes ?? "").split(/[\s,]+/).filter(scope => scope !== "")),
      claims,
      metadata: metadataOf(claims),
      expiresAt: undefined,
    });
  };
  return { name, scheme: "Bearer", counters: metrics.provider(name), identify, close };
}

/** The credentials that the service reads, as far as the configuration shows. */
export function describeDecision({ headers }: DecisionConfig): readonly SecurityScheme[] {
  const description = "A service decides about the request.";
  return headers
    .filter(header => header !== "cookie")
    .map(header =>
      header === "authorization"
        ? ({ type: "http", scheme: "bearer", description } as const)
        : ({ type: "apiKey", in: "header", name: header, description } as const),
    );
}

function claimsOf(headers: ReadonlyMap<string, string>): [string, string][] {
  let chars = 0;
  return [...headers].filter(([name, value]) => {
    chars += name.length + value.length;
    if (chars > maxClaimChars)
      throw new CredentialRefusal(
        "unavailable",
        `the authorization service responds with more than ${maxClaimChars} characters of headers`,
      );
    return !notClaims.has(name);
  });
}

const denied = "the authorization service does not allow the request";

/** 401 and 429 are kept; a redirect to a login page is 401, any other status 403. */
function denial(status: number, headers: ReadonlyMap<string, string>): AccessDenial {
  return new AccessDenial(`${denied}: it responds with ${status}`, failureOf(status, headers));
}

function failureOf(status: number, headers: ReadonlyMap<string, string>): GatewayError {
  if (status === 429)
    return gatewayError("RATE_LIMITED", denied, [], retryAfterOf(headers.get("retry-after")));
  if (status !== 401 && (status < 300 || status > 399)) return gatewayError("ACCESS_DENIED", denied);
  const challenge = headers.get("www-authenticate") ?? 'Bearer realm="protogate"';
  return gatewayError("CREDENTIALS_INVALID", denied, [], { headers: [["www-authenticate", challenge]] });
}

function retryAfterOf(header: string | undefined): { readonly retryAfter?: number } {
  return header !== undefined && /^\d{1,9}$/.test(header) ? { retryAfter: Number(header) } : {};
}
