import { existsSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { checkPath, checkReference } from "../config/check.js";
import type { Path } from "../config/diagnostic.js";
import { oneOf } from "../config/expectation.js";
import type { Findings } from "../config/findings.js";
import { Formats } from "../config/format.js";
import type { DraftOf } from "../config/schema.js";
import { isReservedMetadata } from "../net/reserved-headers.js";
import type { UpstreamsConfig } from "../upstream/config.js";
import type { AuthConfig, JwtConfig, ProviderConfig, ProvidersConfig } from "./auth-schema.js";
import { secretAlgorithms } from "./auth-schema.js";
import { checkPolicies } from "./policy/config.js";

type ProviderDraft = DraftOf<ProviderConfig>;

/** What the checks read beside `auth`. */
export interface AuthSurroundings {
  readonly upstreams: DraftOf<UpstreamsConfig> | undefined;
  /** Names of request headers that some service passes to its backend, and where it says so. */
  readonly passedHeaders: ReadonlyMap<string, string>;
  /** False where no listener asks clients for certificates; undefined where that cannot be told. */
  readonly clientCertificates: boolean | undefined;
}

export function checkAuth(
  auth: DraftOf<AuthConfig> | undefined,
  surroundings: AuthSurroundings,
  findings: Findings,
): void {
  checkProviderNames(["auth", "default"], auth?.default, auth?.providers, findings);
  for (const [name, provider] of Object.entries(auth?.providers ?? {})) {
    if (provider === undefined) continue;
    const path = ["auth", "providers", name];
    checkProvider(path, provider, surroundings, findings);
    checkMetadataNames([...path, "claims_to_metadata"], provider, surroundings.passedHeaders, findings);
  }
  checkPolicies(auth?.policies, findings);
}

/** Adds an error for each name (of an `authReference`) that no provider has. */
export function checkProviderNames(
  at: Path,
  auth: string | readonly (string | undefined)[] | undefined,
  providers: DraftOf<ProvidersConfig> | undefined,
  findings: Findings,
): void {
  if (auth === undefined || auth === "none") return;
  const single = typeof auth === "string";
  for (const [index, name] of (single ? [auth] : auth).entries()) {
    const path = single ? at : [...at, index];
    if (name === "none") {
      findings.error(path, '"none" stands alone; expected it without a list, or names of providers');
      continue;
    }
    checkReference("provider", path, name, providers, findings, single ? ["none"] : []);
  }
}

function checkProvider(
  path: Path,
  provider: ProviderDraft,
  { upstreams, clientCertificates }: AuthSurroundings,
  findings: Findings,
): void {
  if (provider.type === undefined) return;
  if (provider.type === "mtls") {
    if (clientCertificates !== false) return;
    findings.error(path, "client certificates are asked for by listeners.http.tls.client_ca; it is missing");
    return;
  }
  if ("scheme" in provider && !("header" in provider) && ("cookie" in provider || "query" in provider)) {
    findings.error([...path, "scheme"], "a scheme belongs to a header; add the header");
  }
  if (provider.type === "jwt") checkJwt(path, provider, findings);
  if (provider.type === "api_key") checkPath([...path, "keys"], provider.keys, "file", findings);
  if (provider.type === "rpc")
    checkReference("upstream", [...path, "upstream"], provider.upstream, upstreams, findings);
}

const keyKinds = ["jwks", "public_key", "secret"] as const;

function checkJwt(path: Path, provider: DraftOf<JwtConfig>, findings: Findings): void {
  const found = keyKinds.filter(key => key in provider);
  if (found.length !== 1) {
    const what = found.length === 0 ? "none" : found.join(" and ");
    findings.error(path, `expected exactly one of ${oneOf(keyKinds)}, found ${what}`);
    return;
  }
  const shared = found[0] === "secret";
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
  const folder = dirname(resolve(findings.source.file));
  const written = relative(folder, file);
  const [, host] = /^((?:[a-z0-9-]{1,63}\.)+[a-z]{2,63}(?::\d{1,5})?)\/./i.exec(written) ?? [];
  return host === undefined || existsSync(join(folder, host)) ? undefined : `https://${written}`;
}

/** What a claim tells the backend must come from nowhere else, least of all from the client. */
function checkMetadataNames(
  at: Path,
  provider: ProviderDraft,
  passed: ReadonlyMap<string, string>,
  findings: Findings,
): void {
  if (!("claims_to_metadata" in provider)) return;
  const seen = new Set<string>();
  for (const [claim, name] of Object.entries(provider.claims_to_metadata ?? {})) {
    if (name === undefined) continue;
    const path = [...at, claim];
    const shown = findings.show(path, name);
    const where = passed.get(name);
    if (isReservedMetadata(name)) {
      findings.error(path, `${shown} cannot carry a claim; the gateway and gRPC write it themselves`);
    } else if (where !== undefined) {
      findings.error(
        path,
        `${shown} is also passed from the client by ${where}, which could then forge the claim`,
      );
    } else if (seen.has(name)) {
      findings.error(path, `${shown} carries another claim already`);
    }
    seen.add(name);
  }
}
