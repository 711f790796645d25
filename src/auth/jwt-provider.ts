import {
  base64url,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from "jose";
import { TranscodeError } from "../codec/error.js";
import { isJsonObject } from "../codec/json.js";
import { parseJson } from "../codec/json-to-wire/parse-json.js";
import type { JwtConfig } from "./auth-schema.js";
import { bareClaims, type Claims, claimAt, metadataMapper, scopesOf, subjectOf } from "./claims.js";
import { credentialReader, placementOf } from "./credential.js";
import type { AuthDependencies } from "./dependencies.js";
import { jwtKeys } from "./jwt-keys.js";
import { type Provider, Refusal, type RefusalReason } from "./provider.js";
import type { TokenKeys } from "./token-keys.js";
import { TokenProvider, type Verified } from "./token-provider.js";

/** Most levels of lists and objects in the claims of a token. */
const depth = 100;

/**
 * JSON Web Tokens by `jose`. Only the algorithms of the configuration are taken, and keys only from where it says:
 * `jwk`, `jku`, `x5c` and `x5u` in a token mean nothing. Refused tokens are not remembered, since whoever sends
 * one can send another.
 * @throws Error where the keys are in a file that cannot be used
 */
export function jwtProvider(name: string, config: JwtConfig, dependencies: AuthDependencies): Provider {
  const now = dependencies.now ?? Date.now;
  const keys = jwtKeys(name, config, dependencies);
  const placement = placementOf(config, "authorization");
  const options: JWTVerifyOptions = {
    algorithms: [...config.algorithms],
    requiredClaims: [...config.required_claims],
    clockTolerance: config.clock_tolerance / 1000,
    ...(config.issuer !== undefined && { issuer: mutable(config.issuer) }),
    ...(config.audience !== undefined && { audience: mutable(config.audience) }),
    ...(config.max_age !== undefined && { maxTokenAge: config.max_age / 1000 }),
  };
  const metadataOf = metadataMapper(config.claims_to_metadata);
  return new TokenProvider({
    name,
    scheme: placement.scheme ?? "Bearer",
    counters: dependencies.metrics.provider(name),
    read: credentialReader(placement),
    cacheSize: config.cache_size,
    refusedFor: 0,
    now,
    version: () => keys.version,
    verify: async (token): Promise<Verified> => {
      const time = now();
      const dates = await verify(token, keys, { ...options, currentDate: new Date(time) });
      const claims = exactClaims(token);
      const identity = Object.freeze({
        provider: name,
        subject: subjectOf(claimAt(claims, config.subject), config.subject),
        scopes: scopesOf(claimAt(claims, config.scopes)),
        claims,
        metadata: metadataOf(claims),
        expiresAt: milliseconds(dates.exp),
      });
      return { identity, until: rememberedUntil(config, dates, time) };
    },
    close: () => keys.close(),
  });
}

/**
 * The claims of a token that has been verified, read anew because `jose` reads numbers as doubles: a user's id of more than
 * 53 bits would be that of another.
 * @throws Refusal for names that come twice (RFC 7519 §4) and whatever else the strict reader does not take
 */
function exactClaims(token: string): Claims {
  const [, payload = ""] = token.split(".");
  try {
    const claims = parseJson(base64url.decode(payload), { depth });
    if (isJsonObject(claims)) return bareClaims(claims);
  } catch (error) {
    if (!(error instanceof TranscodeError)) throw error;
    throw new Refusal("invalid", `claims: ${error.message}`, "TOKEN_MALFORMED");
  }
  throw new Refusal("invalid", "the claims are no JSON object", "TOKEN_MALFORMED");
}

/** The time that `exp`, or `max_age` and `iat`, leave within `cache`. */
function rememberedUntil(
  { cache, clock_tolerance: tolerance, max_age: age }: JwtConfig,
  claims: JWTPayload,
  now: number,
): number {
  const expires = milliseconds(claims.exp) ?? Number.POSITIVE_INFINITY;
  const issued = age === undefined ? undefined : milliseconds(claims.iat);
  const tooOld = issued === undefined || age === undefined ? Number.POSITIVE_INFINITY : issued + age;
  return Math.min(now + cache, expires + tolerance, tooOld + tolerance);
}

/** `NumericDate` in milliseconds. */
function milliseconds(date: unknown): number | undefined {
  return typeof date === "number" && Number.isFinite(date) ? date * 1000 : undefined;
}

/** @throws Refusal */
async function verify(token: string, keys: TokenKeys, options: JWTVerifyOptions): Promise<JWTPayload> {
  let candidates: Awaited<ReturnType<TokenKeys["candidates"]>> | undefined;
  for (let index = 0; ; index++) {
    const key: JWTVerifyGetKey = async (header, jws) => {
      candidates ??= await keys.candidates(header, jws);
      const candidate = candidates[index];
      if (candidate === undefined) throw new errors.JWKSNoMatchingKey();
      return candidate;
    };
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch (error) {
      const another = index + 1 < (candidates?.length ?? 0);
      if (!(another && error instanceof errors.JWSSignatureVerificationFailed)) throw refusalOf(error, token);
    }
  }
}

function refusalOf(error: unknown, token: string): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof errors.JWTExpired) return new Refusal("expired", error.message);
  if (error instanceof errors.JOSEError) {
    return new Refusal("invalid", `${error.code}: ${error.message}`, invalidity(error, token));
  }
  // Keys of an issuer that the runtime cannot use, for example RSA with too few bits.
  return new Refusal("invalid", String(error));
}

function invalidity(error: errors.JOSEError, token: string): RefusalReason {
  const { JWTClaimValidationFailed } = errors;
  const early =
    error instanceof JWTClaimValidationFailed && error.claim === "nbf" && error.reason === "check_failed";
  if (early) return "TOKEN_NOT_YET_VALID";
  return isToken(token) ? "CREDENTIALS_INVALID" : "TOKEN_MALFORMED";
}

/** Whether it can be read as a JWT, be it good or not. */
function isToken(token: string): boolean {
  try {
    decodeProtectedHeader(token);
    decodeJwt(token);
    return true;
  } catch {
    return false;
  }
}

function mutable(text: string | readonly string[]): string | string[] {
  return typeof text === "string" ? text : [...text];
}
