import type { Path } from "../../config/diagnostic.js";
import type { Findings } from "../../config/findings.js";
import type { DraftOf, Loaded } from "../../config/schema.js";
import { choice, duration, mapping, oneOrMore, text } from "../../config/schema.js";
import { Type } from "../../config/type-builder.js";
import { errorMessage } from "../../net/error-text.js";
import { TimedRequests } from "../../net/timed-requests.js";
import type { Span } from "../../telemetry/tracing/span.js";
import {
  type Claims,
  claimAt,
  integerOf,
  metadataMapper,
  parseClaims,
  scopesOf,
  subjectOf,
} from "../claims.js";
import { credentialReader, describePlacement, placementOf } from "../credential.js";
import type { AuthDependencies, ProviderCheckContext, ProviderType } from "../provider.js";
import { CredentialRefusal, type Provider, refuse } from "../provider.js";
import { cacheSize, claimsToMetadata, placement } from "./fields.js";
import { checkWebUrl, discover, fetchText, IssuerStatus } from "./issuer.js";
import { TokenProvider, type Verified } from "./token-provider.js";

const IntrospectionSchema = mapping(
  {
    type: choice(["introspection"], {
      description: "Opaque tokens, checked by token introspection at their issuer (RFC 7662).",
    }),
    url: Type.Optional(
      text("webUrl", {
        description: "URL of the introspection endpoint. Left out: the URL in the metadata of `issuer`.",
      }),
    ),
    issuer: Type.Optional(
      text("webUrl", { description: "URL of the issuer; what `iss` must be where the response has one." }),
    ),
    client_id: text("nonempty", { description: "Client credentials of the gateway at the issuer." }),
    client_secret: text("secret", { description: "Client credentials of the gateway at the issuer." }),
    audience: Type.Optional(
      oneOrMore(text("nonempty", { description: "An audience." }), {
        description: "What `aud` must be, or must have one of.",
      }),
    ),
    clock_tolerance: duration(
      { description: "How far the clocks of issuer and gateway may be apart.", default: "5s" },
      0,
    ),
    subject: Type.Optional(
      text("nonempty", {
        description:
          "The member with the subject. Left out: sub, username or client_id, the first that is there.",
      }),
    ),
    scopes: text("nonempty", {
      description: "The member with the scopes: a string separated by spaces, or a list.",
      default: "scope",
    }),
    ...placement,
    claims_to_metadata: claimsToMetadata,
    timeout: duration({ description: "How long the issuer has to respond.", default: "5s" }),
    cache: duration(
      {
        description:
          "How long an active token is taken as such, within its lifetime; a revoked one is accepted until then. 0s: not at all.",
        default: "30s",
      },
      0,
    ),
    cache_size: cacheSize,
  },
  "Whose token its issuer calls active.",
);

type IntrospectionConfig = Loaded<typeof IntrospectionSchema>;

export const introspection = {
  name: "introspection",
  schema: IntrospectionSchema,
  check: checkIntrospection,
  describe: config => describePlacement(placementOf(config, "authorization"), "A token of the issuer."),
  create: createIntrospectionProvider,
} as const satisfies ProviderType<IntrospectionConfig>;

function checkIntrospection(
  path: Path,
  provider: DraftOf<IntrospectionConfig>,
  _context: ProviderCheckContext,
  findings: Findings,
): void {
  if (!("url" in provider || "issuer" in provider))
    findings.error(path, 'expected "url" or "issuer", found neither');
  for (const key of ["url", "issuer"] as const)
    checkWebUrl([...path, key], provider[key], "tokens and the client secret", findings);
}

/** Bytes of a response. */
const responseLimit = 256 * 1024;
/** Most milliseconds for which a token is refused without another request to the issuer. */
const refusedForMs = 5000;
/** RFC 7662 §2.2: members that are instants, in seconds. */
type Instant = "exp" | "nbf";

/**
 * Has the issuer decide whether a token is active. Any response but a clear one refuses the request with 503.
 */
function createIntrospectionProvider(
  name: string,
  config: IntrospectionConfig,
  { metrics, now = Date.now }: AuthDependencies,
): Provider {
  const { issuer, clock_tolerance: tolerance } = config;
  const placement = placementOf(config, "authorization");
  const metadataOf = metadataMapper(config.claims_to_metadata);
  const headers = {
    accept: "application/json",
    "content-type": "application/x-www-form-urlencoded",
    authorization: basic(config.client_id, config.client_secret),
  };
  const requests = new TimedRequests();
  let endpoint = config.url;

  const introspect = async (token: string, parent: Span | undefined): Promise<Claims> => {
    const body = new URLSearchParams({ token, token_type_hint: "access_token" }).toString();
    try {
      const response = await requests.run(config.timeout, async signal => {
        endpoint ??= await discover(String(issuer), "introspection_endpoint", signal, parent);
        return fetchText(endpoint, { signal, parent, headers, method: "POST", body }, responseLimit);
      });
      return parseClaims(Buffer.from(response));
    } catch (error) {
      // The endpoint may have moved.
      endpoint = config.url;
      throw new CredentialRefusal("unavailable", `the issuer ${problemOf(error)}`);
    }
  };

  return new TokenProvider({
    name,
    scheme: placement.scheme ?? "Bearer",
    counters: metrics.provider(name),
    read: credentialReader(placement),
    cacheSize: config.cache_size,
    refusedFor: Math.min(config.cache, refusedForMs),
    now,
    version: () => 0,
    verify: async (token, caller): Promise<Verified> => {
      const claims = await introspect(token, caller.span);
      if (typeof claims.active !== "boolean")
        throw new CredentialRefusal("unavailable", 'the response of the issuer has no boolean "active"');
      if (!claims.active) refuse("the issuer reports that the token is not active");
      const time = now();
      const expires = instantOf(claims, "exp");
      if (expires !== undefined && expires + tolerance <= time)
        throw new CredentialRefusal("expired", "the token has expired");
      const from = instantOf(claims, "nbf");
      if (from !== undefined && from - tolerance > time)
        throw new CredentialRefusal("invalid", "the token is not valid yet", "TOKEN_NOT_YET_VALID");
      if (issuer !== undefined && claims.iss !== undefined && claims.iss !== issuer)
        refuse(`"iss" is ${JSON.stringify(claims.iss)}; expected ${JSON.stringify(issuer)}`);
      if (config.audience !== undefined) checkAudience(claims.aud, config.audience);
      const member = config.subject ?? subjects.find(each => claims[each] !== undefined) ?? "sub";
      const identity = Object.freeze({
        provider: name,
        subject: subjectOf(claimAt(claims, member), member),
        scopes: scopesOf(claimAt(claims, config.scopes)),
        claims,
        metadata: metadataOf(claims),
        expiresAt: expires,
      });
      return {
        identity,
        until: Math.min(time + config.cache, (expires ?? Number.POSITIVE_INFINITY) + tolerance),
      };
    },
    close: () => requests.close(),
  });
}

const subjects = ["sub", "username", "client_id"] as const;

/** RFC 6749 §2.3.1: both parts are encoded as in forms. */
function basic(id: string, secret: string): string {
  const form = (value: string): string => new URLSearchParams({ value }).toString().slice("value=".length);
  return `Basic ${Buffer.from(`${form(id)}:${form(secret)}`).toString("base64")}`;
}

function problemOf(error: unknown): string {
  if (error instanceof IssuerStatus && error.status === 401)
    return "responds with 401: it does not accept client_id and client_secret";
  return errorMessage(error);
}

/** Milliseconds since 1970. @throws CredentialRefusal where it is no number */
function instantOf(claims: Claims, name: Instant): number | undefined {
  const value = claims[name];
  if (value === undefined || value === null) return undefined;
  const seconds = typeof value === "number" ? value : Number(integerOf(value) ?? Number.NaN);
  if (!Number.isFinite(seconds))
    throw new CredentialRefusal(
      "unavailable",
      `"${name}" of the issuer's response is not a number of seconds`,
    );
  return seconds * 1000;
}

/** @throws CredentialRefusal unless one of the audiences is among those of the token */
function checkAudience(found: unknown, expected: string | readonly string[]): void {
  const audiences = Array.isArray(found) ? found : [found];
  if (![expected].flat().some(each => audiences.includes(each)))
    refuse(`"aud" is ${JSON.stringify(found) ?? "missing"}; expected ${[expected].flat().join(" or ")}`);
}
