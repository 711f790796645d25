import { statSync } from "node:fs";
import { isPlainUrl } from "../config/address.js";
import { formatPath, type Path } from "../config/diagnostic.js";
import { Formats } from "../config/format.js";
import type { GatewayConfig } from "../gateway/config.js";
import type { Audited, Report } from "./rule.js";

export function tokens(config: GatewayConfig, report: Report): void {
  for (const [name, provider] of Object.entries(config.auth.providers)) {
    const at = ["auth", "providers", name];
    if ("query" in provider && provider.query !== undefined)
      report(
        "medium",
        "credential-in-url",
        [...at, "query"],
        "URLs are written into logs and histories, credentials with them; expected header or cookie",
      );
    if (provider.type !== "jwt") continue;
    if (!provider.required_claims.includes("exp"))
      report(
        "high",
        "endless-token",
        [...at, "required_claims"],
        "a token that leaks is valid for ever; expected exp among the required claims",
      );
    if (provider.audience === undefined)
      report(
        "medium",
        "any-audience",
        at,
        "tokens that the issuer made for other services are accepted; expected audience",
      );
    if (provider.issuer === undefined && provider.jwks !== undefined)
      report("low", "any-issuer", at, "any token signed with one of the keys is accepted; expected issuer");
    for (const key of ["jwks", "issuer"] as const) {
      const url = provider[key];
      if (typeof url === "string" && isPlainUrl(url) && (key === "jwks" || provider.jwks === undefined))
        report(
          "high",
          "plain-keys",
          [...at, key],
          "an attacker on the network can replace the keys; expected an https URL",
        );
    }
  }
}

/** Different characters of a secret that was drawn at random, at least. */
const minVariety = 12;

export function logins(config: GatewayConfig, report: Report): void {
  for (const [name, provider] of Object.entries(config.auth.providers)) {
    if (provider.type !== "oidc_login") continue;
    const at = ["auth", "providers", name];
    for (const [index, secret] of provider.secrets.entries())
      if (new Set(secret).size < minVariety)
        report(
          "high",
          "weak-session-secret",
          [...at, "secrets", index],
          "whoever guesses the secret can make sessions of any user; expected one of openssl rand -base64 32",
        );
    if (isPlainUrl(provider.issuer))
      report(
        "high",
        "plain-issuer",
        [...at, "issuer"],
        "an attacker on the network can log in as any user; expected an https URL",
      );
    if (provider.cookie.same_site === "none")
      report(
        "medium",
        "session-across-sites",
        [...at, "cookie", "same_site"],
        "browsers send the session with what any site requests; expected lax, unless pages of other sites are listed in http.cors.origins",
      );
    if (provider.cookie.domain !== undefined)
      report(
        "medium",
        "session-of-subdomains",
        [...at, "cookie", "domain"],
        "every host below the domain gets the session, and may set one; expected no domain",
      );
  }
}

/** Secrets written in the file, and keys that other users of the machine may read. */
export function secrets(config: GatewayConfig, report: Report, { loaded }: Audited): void {
  walk(config, [], (path, value) => {
    const key = String(path.at(-1));
    const inUrl = /:\/\/[^/@\s]*:[^/@\s]+@/.test(value) && !loaded.secrets.has(formatPath(path));
    if (inUrl || loaded.literalSecrets.has(formatPath(path)))
      report(
        "high",
        "secret-in-file",
        path,
        `the configuration itself holds a secret; expected \${NAME} without a default, or \${file:…}`,
      );
    if (
      !(key === "key" && path.slice(-3, -1).includes("tls")) &&
      !(key === "keys" && path[1] === "providers")
    )
      return;
    if (!Formats.path.isPath?.(value)) return;
    if (modeOf(value) & 0o007)
      report(
        "medium",
        "readable-key",
        path,
        "every user of this machine may read the file; expected mode 0600 or 0640",
      );
  });
}

function walk(value: unknown, path: Path, visit: (path: Path, text: string) => void): void {
  if (typeof value === "string") visit(path, value);
  else if (Array.isArray(value))
    for (const [index, item] of value.entries()) walk(item, [...path, index], visit);
  else if (typeof value === "object" && value !== null)
    for (const [key, item] of Object.entries(value)) walk(item, [...path, key], visit);
}

function modeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mode ?? 0;
}
