import { type GatewayError, gatewayError } from "../status/failure.js";
import { traceIdOf } from "../telemetry/traceparent.js";
import type { Caller } from "./caller.js";
import type { Authenticator, Identity } from "./identity.js";
import type { AuthEvent } from "./provider.js";
import { AccessDenial, CredentialRefusal, type Provider, type RefusalReason } from "./provider.js";

type Refusals = Map<Provider, CredentialRefusal>;

/**
 * Tries providers in order: one that finds no credentials is skipped, the first that accepts wins. Where none
 * does, the failure states whether credentials were missing, expired, refused, or could not be checked.
 */
export function providerChain(
  providers: readonly Provider[],
  log: (event: AuthEvent) => void,
): Authenticator {
  const identify = (
    caller: Caller,
    from: number,
    refusals: Refusals | undefined,
  ): Identity | Promise<Identity> => {
    let seen = refusals;
    for (let index = from; index < providers.length; index++) {
      const provider = providers[index] as Provider;
      try {
        const found = provider.identify(caller);
        if (found instanceof Promise) {
          return found.then(
            identity => accepted(provider, identity),
            error => identify(caller, index + 1, withRefusal(seen, provider, error, caller, log)),
          );
        }
        if (found !== undefined) return accepted(provider, found);
        provider.counters.missing.inc();
      } catch (error) {
        seen = withRefusal(seen, provider, error, caller, log);
      }
    }
    throw failureOf(providers, seen, caller);
  };
  const challenges = () => [...new Set(providers.map(challengeOf))];
  return Object.assign((caller: Caller) => identify(caller, 0, undefined), { challenges });
}

function accepted({ counters }: Provider, identity: Identity): Identity {
  counters.accepted.inc();
  return identity;
}

function withRefusal(
  seen: Refusals | undefined,
  provider: Provider,
  error: unknown,
  caller: Caller,
  log: (event: AuthEvent) => void,
): Refusals {
  const isRefusal = error instanceof CredentialRefusal;
  const refusal = isRefusal ? error : new CredentialRefusal("unavailable", String(error));
  provider.counters[refusal.result].inc();
  log({
    level: refusal.result === "unavailable" ? "warn" : "debug",
    provider: provider.name,
    traceId: caller.span?.traceId ?? traceIdOf(caller.header("traceparent")),
    message: isRefusal || !(error instanceof Error) ? refusal.message : (error.stack ?? error.message),
  });
  const refusals = seen ?? new Map<Provider, CredentialRefusal>();
  return refusals.set(provider, refusal);
}

function challengeOf({ scheme, challenge }: Provider): string {
  return `${scheme} realm="protogate"${challenge === undefined ? "" : `, ${challenge}`}`;
}

function failureOf(providers: readonly Provider[], seen: Refusals | undefined, caller: Caller): GatewayError {
  const results = new Set([...(seen?.values() ?? [])].map(refusal => refusal.result));
  if (results.has("unavailable")) {
    return gatewayError("AUTH_UNAVAILABLE", "the credentials cannot be checked at the moment", [], {
      retryAfter: 1,
    });
  }
  for (const refusal of seen?.values() ?? []) if (refusal instanceof AccessDenial) return refusal.failure;
  const reason = reasonOf([...(seen?.values() ?? [])]);
  const challenges = new Map<string, string>();
  for (const provider of providers) {
    // RFC 6750 §3: no error code where no token was presented.
    const error = seen?.has(provider) && provider.scheme === "Bearer" ? ', error="invalid_token"' : "";
    if (error !== "" || !challenges.has(provider.scheme))
      challenges.set(provider.scheme, `${challengeOf(provider)}${error}`);
  }
  const headers = [...challenges.values()].map(challenge => ["www-authenticate", challenge] as const);
  let location: string | undefined;
  for (const provider of providers) location ??= provider.loginUrl?.(caller);
  return gatewayError(reason, messages[reason], [], { headers, ...(location !== undefined && { location }) });
}

/** One that has expired counts before the others; these only where all agree. */
function reasonOf(refusals: readonly CredentialRefusal[]): RefusalReason | "CREDENTIALS_MISSING" {
  const [first, ...more] = new Set(refusals.map(({ reason }) => reason));
  if (first === undefined) return "CREDENTIALS_MISSING";
  if (more.length === 0) return first;
  return first === "TOKEN_EXPIRED" || more.includes("TOKEN_EXPIRED")
    ? "TOKEN_EXPIRED"
    : "CREDENTIALS_INVALID";
}

const messages: Readonly<Record<ReturnType<typeof reasonOf>, string>> = {
  CREDENTIALS_MISSING: "credentials are missing",
  CREDENTIALS_INVALID: "the credentials are not accepted",
  TOKEN_EXPIRED: "the token has expired",
  TOKEN_MALFORMED: "the token is malformed",
  TOKEN_NOT_YET_VALID: "the token is not valid yet",
  TOKEN_REVOKED: "the token has been revoked",
};
