import { dirname, join, relative, resolve } from "node:path";
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
import { TranscodeError } from "../../../codec/error.js";
import { checkPath } from "../../../config/check.js";
import type { Path } from "../../../config/diagnostic.js";
import { oneOf } from "../../../config/expectation.js";
import type { Findings } from "../../../config/findings.js";
import { Formats } from "../../../config/format.js";
import type { DraftOf, Loaded } from "../../../config/schema.js";
import { choice, duration, listOf, mapping, oneOrMore, text } from "../../../config/schema.js";
import { Type } from "../../../config/type-builder.js";
import { errorMessage } from "../../../net/error-text.js";
import { existsSync } from "../../../net/files.js";
import { type Span, traced } from "../../../telemetry/tracing/span.js";
import { type Claims, claimAt, metadataMapper, parseClaims, scopesOf, subjectOf } from "../../claims.js";
import { credentialReader, describePlacement, placementOf } from "../../credential.js";
import type {
  AuthDependencies,
  ProviderCheckContext,
  ProviderInspection,
  ProviderType,
} from "../../provider.js";
import { CredentialRefusal, type Provider, type RefusalReason } from "../../provider.js";
import { cacheSize, claimsToMetadata, placement } from "../fields.js";
import { TokenProvider, type Verified } from "../token-provider.js";
import type { TokenKeys } from "./key-set.js";
import type { JwtAlgorithm } from "./keys.js";
import { asymmetricAlgorithms, jwtKeys, publicKey, readJwkSetFile, secretAlgorithms } from "./keys.js";

const JwtSchema = mapping(
  {
    type: choice(["jwt"], { description: "JSON Web Tokens (RFC 7519)." }),
    jwks: Type.Optional(
      text("pathOrUrl", {
        description:
          "The issuer's keys: URL of its JWK set, or a file. Without it, `public_key` and `secret`, the URL is that in the metadata of `issuer`.",
      }),
    ),
    public_key: Type.Optional(
      text("pathOrPem", {
        description: "The issuer's public key or certificate: a PEM file, or PEM itself.",
      }),
    ),
    secret: Type.Optional(
      text("secret", { description: "Secret shared with the issuer, for HS256 to HS512." }),
    ),
    algorithms: Type.Optional(
      Type.Unsafe<JwtAlgorithm[]>({
        type: "array",
        items: choice([...asymmetricAlgorithms, ...secretAlgorithms], { description: "An algorithm." }),
        uniqueItems: true,
        minItems: 1,
        description:
          "The algorithms that are accepted; the `alg` of a token selects none other. Left out, those with a public key; with `secret` it must be written.",
      }),
    ),
    issuer: Type.Optional(
      oneOrMore(text("nonempty", { description: "An issuer." }), {
        description:
          "What `iss` must be. Without keys, the URL below which /.well-known/openid-configuration has the URL of the keys.",
      }),
    ),
    audience: Type.Optional(
      oneOrMore(text("nonempty", { description: "An audience." }), {
        description: "What `aud` must be, or must have one of.",
      }),
    ),
    clock_tolerance: duration(
      { description: "How far the clocks of issuer and gateway may be apart.", default: "5s" },
      0,
    ),
    max_age: Type.Optional(duration({ description: "How old a token may be by its `iat`." }, 1000)),
    required_claims: listOf(text("nonempty", { description: "A claim." }), {
      description: "Claims that a token must have. Without `exp` in the list, tokens may never expire.",
      default: ["exp"],
    }),
    subject: text("nonempty", { description: "The claim with the subject.", default: "sub" }),
    scopes: text("nonempty", {
      description: "The claim with the scopes: a string separated by spaces, or a list.",
      default: "scope",
    }),
    ...placement,
    claims_to_metadata: claimsToMetadata,
    refresh: duration({ description: "How often `jwks` is fetched.", default: "5m" }, 1000),
    cooldown: duration(
      { description: "Least time between two fetches of `jwks` for unknown keys.", default: "30s" },
      1000,
    ),
    cache: duration(
      {
        description: "How long a verified token is remembered, within its lifetime; 0s: not at all.",
        default: "5m",
      },
      0,
    ),
    cache_size: cacheSize,
  },
  "Who has a token of an issuer.",
);

export type JwtConfig = Loaded<typeof JwtSchema>;

export const jwt = {
  name: "jwt",
  schema: JwtSchema,
  check: checkJwt,
  inspect: (config, { report }) => {
    checkKeys(config, report);
    const short = shortSecret(config);
    if (short !== undefined) report("warning", "secret", short);
  },
  describe: config => describePlacement(placementOf(config, "authorization"), "A JSON Web Token.", "JWT"),
  create: createJwtProvider,
} as const satisfies ProviderType<JwtConfig>;

const keyKinds = ["jwks", "public_key", "secret"] as const;

function checkJwt(
  path: Path,
  provider: DraftOf<JwtConfig>,
  _context: ProviderCheckContext,
  findings: Findings,
): void {
  const found = keyKinds.filter(key => key in provider);
  if (found.length > 1) {
    findings.error(path, `expected at most one of ${oneOf(keyKinds)}, found ${found.join(" and ")}`);
    return;
  }
  if (found.length === 0 && !("issuer" in provider)) {
    findings.error(path, `expected one of ${oneOf([...keyKinds, "issuer"])}, found none`);
    return;
  }
  if (found.length === 0 && !isIssuerUrl(provider.issuer)) {
    const expected = `expected its http or https URL here, or one of ${oneOf(keyKinds)} beside it`;
    findings.error([...path, "issuer"], `the keys cannot be found by this issuer; ${expected}`);
    return;
  }
  const shared = found[0] === "secret";
  if (shared && !("algorithms" in provider))
    findings.error(path, `"algorithms" is missing; expected ${oneOf(secretAlgorithms)} with "secret"`);
  provider.algorithms?.forEach((algorithm, index) => {
    const symmetric = secretAlgorithms.some(each => each === algorithm);
    if (algorithm === undefined || symmetric === shared) return;
    const reason = shared
      ? `is for public keys; expected ${oneOf(secretAlgorithms)} with "secret"`
      : `is for a shared secret; anybody who knows the public key could sign`;
    findings.error([...path, "algorithms", index], `${algorithm} ${reason}`);
  });
  const url = URL.canParse(provider.jwks ?? "") ? new URL(provider.jwks ?? "") : undefined;
  if (url !== undefined && url.username + url.password !== "") {
    findings.error([...path, "jwks"], "a URL of keys carries no user name or password");
  }
  for (const key of ["jwks", "public_key"] as const) {
    const value = provider[key];
    const isFile = value !== undefined && Formats[key === "jwks" ? "pathOrUrl" : "pathOrPem"].isPath?.(value);
    if (!isFile) continue;
    const at = [...path, key];
    checkPath(at, value, "file", findings, key === "jwks" ? urlOf(at, value, findings) : undefined);
  }
}

/** The URL that was meant by a path (absolute) which looks like a host and a path on it. */
function urlOf(at: Path, file: string, findings: Findings): string | undefined {
  if (findings.isSecret(at)) return undefined;
  const folder = dirname(resolve(findings.source.locate(at).file));
  const written = relative(folder, file);
  const [, host] = /^((?:[a-z0-9-]{1,63}\.)+[a-z]{2,63}(?::\d{1,5})?)\/./i.exec(written) ?? [];
  return host === undefined || existsSync(join(folder, host)) ? undefined : `https://${written}`;
}

/** RFC 7518 §3.2: a key must be at least as long as the hash; a shorter one can be guessed from any token. */
function shortSecret({ secret, algorithms = [] }: JwtConfig): string | undefined {
  if (secret === undefined) return undefined;
  const minBytes = Math.max(...algorithms.map(algorithm => Number(algorithm.slice(2)) / 8));
  if (Buffer.byteLength(secret) >= minBytes) return undefined;
  return `the secret is shorter than ${minBytes} bytes (RFC 7518 §3.2); it can be guessed from any token`;
}

/** OpenID Connect Discovery 1.0 §2: a URL without query and fragment. */
function isIssuerUrl(issuer: unknown): boolean {
  if (typeof issuer !== "string" || !/^https?:\/\//i.test(issuer) || !URL.canParse(issuer)) return false;
  const { username, password } = new URL(issuer);
  return username + password === "" && !/[?#]/.test(issuer);
}

function checkKeys(
  { public_key: pem, jwks, algorithms = [] }: JwtConfig,
  report: ProviderInspection["report"],
): void {
  if (pem !== undefined) {
    const problem = problemOf(() => publicKey(pem, algorithms));
    if (problem !== undefined) report("error", "public_key", problem);
  }
  if (jwks !== undefined && Formats.pathOrUrl.isPath?.(jwks)) {
    const problem = problemOf(() => readJwkSetFile(jwks));
    if (problem !== undefined) report("error", "jwks", problem);
  }
}

function problemOf(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
}
/**
 * JSON Web Tokens by `jose`. Only the algorithms and the key sources of the configuration are used:
 * `jwk`, `jku`, `x5c` and `x5u` in a token are ignored. Refused tokens are not remembered, since a client that sends
 * one can send another.
 * @throws Error where the keys are in a file that cannot be used
 */
function createJwtProvider(name: string, config: JwtConfig, dependencies: AuthDependencies): Provider {
  const now = dependencies.now ?? Date.now;
  const keys = jwtKeys(name, config, dependencies);
  const placement = placementOf(config, "authorization");
  const options: JWTVerifyOptions = {
    algorithms: [...(config.algorithms ?? asymmetricAlgorithms)],
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
    verify: async (token, caller): Promise<Verified> => {
      const time = now();
      const dates = await verify(token, keys, { ...options, currentDate: new Date(time) }, caller.span);
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
 * The claims of a token that has been verified, read anew because `jose` reads numbers as doubles.
 * @throws CredentialRefusal
 */
function exactClaims(token: string): Claims {
  const [, payload = ""] = token.split(".");
  try {
    return parseClaims(base64url.decode(payload));
  } catch (error) {
    if (!(error instanceof TranscodeError)) throw error;
    throw new CredentialRefusal("invalid", `claims: ${error.message}`, "TOKEN_MALFORMED");
  }
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

/** @throws CredentialRefusal */
async function verify(
  token: string,
  keys: TokenKeys,
  options: JWTVerifyOptions,
  span: Span | undefined,
): Promise<JWTPayload> {
  let candidates: Awaited<ReturnType<TokenKeys["candidates"]>> | undefined;
  for (let index = 0; ; index++) {
    const key: JWTVerifyGetKey = async (header, jws) => {
      const find = (): ReturnType<TokenKeys["candidates"]> => keys.candidates(header, jws);
      candidates ??= await (span === undefined ? find() : traced(span.child("keys"), find));
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

function refusalOf(error: unknown, token: string): CredentialRefusal {
  if (error instanceof CredentialRefusal) return error;
  if (error instanceof errors.JWTExpired) return new CredentialRefusal("expired", error.message);
  if (error instanceof errors.JOSEError) {
    return new CredentialRefusal("invalid", `${error.code}: ${error.message}`, invalidity(error, token));
  }
  // Keys of an issuer that the runtime cannot use, for example RSA with too few bits.
  return new CredentialRefusal("invalid", String(error));
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
