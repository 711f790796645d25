import { existsSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { secretAlgorithms } from "./auth-schema.js";
import type { Draft, DraftOf } from "./draft.js";
import { oneOf } from "./expectation.js";
import { checkPath } from "./file-check.js";
import type { Findings } from "./findings.js";
import { Formats } from "./format.js";
import { nearest } from "./nearest.js";
import { isReservedMetadata } from "./own-header.js";
import { formatPath, type Path } from "./path.js";
import type { JwtConfig, ProviderConfig } from "./schema.js";
import { serviceOptions } from "./service-options.js";
import { checkUpstreamName } from "./upstream-check.js";

type ProviderDraft = DraftOf<ProviderConfig>;

export function checkAuth(draft: Draft, findings: Findings): void {
  checkProviderNames(["auth", "default"], draft.auth?.default, draft, findings);
  for (const { path, options } of serviceOptions(draft)) {
    checkProviderNames([...path, "auth"], options.auth, draft, findings);
  }
  const passed = passedHeaders(draft);
  for (const [name, provider] of Object.entries(draft.auth?.providers ?? {})) {
    if (provider === undefined) continue;
    const path = ["auth", "providers", name];
    checkProvider(path, provider, draft, findings);
    checkMetadataNames([...path, "claims_to_metadata"], provider, passed, findings);
  }
}

/** Adds an error for each name (of an `authReference`) that no provider has. */
export function checkProviderNames(
  at: Path,
  auth: string | readonly (string | undefined)[] | undefined,
  draft: Draft,
  findings: Findings,
): void {
  if (auth === undefined || auth === "none") return;
  const providers = Object.keys(draft.auth?.providers ?? {});
  const single = typeof auth === "string";
  for (const [index, name] of (single ? [auth] : auth).entries()) {
    if (name === undefined || providers.includes(name)) continue;
    const path = single ? at : [...at, index];
    if (name === "none") {
      findings.error(path, '"none" stands alone; expected it without a list, or names of providers');
      continue;
    }
    const suggestion = nearest(name, single ? [...providers, "none"] : providers);
    const known = providers.length === 0 ? "none is declared" : `declared are ${providers.join(", ")}`;
    const message = `there is no provider ${findings.show(path, name)}`;
    findings.error(path, suggestion === undefined ? `${message}; ${known}` : message, { suggestion });
  }
}

function checkProvider(path: Path, provider: ProviderDraft, draft: Draft, findings: Findings): void {
  if (provider.type === undefined) return;
  if (provider.type === "mtls") {
    const tls = draft.listeners?.http?.tls;
    if (draft.listeners?.http === undefined || (tls !== undefined && "client_ca" in tls)) return;
    findings.error(path, "client certificates are asked for by listeners.http.tls.client_ca; it is missing");
    return;
  }
  if ("scheme" in provider && !("header" in provider) && ("cookie" in provider || "query" in provider)) {
    findings.error([...path, "scheme"], "a scheme belongs to a header; add the header");
  }
  if (provider.type === "jwt") checkJwt(path, provider, findings);
  if (provider.type === "api_key") checkPath([...path, "keys"], provider.keys, "file", findings);
  if (provider.type === "rpc") checkUpstreamName([...path, "upstream"], provider.upstream, draft, findings);
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

/** Names of request headers that some service passes to its backend, and where it says so. */
export function passedHeaders(draft: Draft): ReadonlyMap<string, string> {
  const passed = new Map<string, string>();
  for (const { path, options } of serviceOptions(draft)) {
    const where = formatPath([...path, "metadata", "request"]);
    for (const name of options.metadata?.request ?? []) if (name) passed.set(name, where);
  }
  return passed;
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
