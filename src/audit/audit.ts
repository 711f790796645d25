import { statSync } from "node:fs";
import { authNames } from "../auth/config.js";
import type { BuiltInRoute } from "../bindings/built-in-route.js";
import { authOf, limitsOf } from "../bindings/conditions.js";
import { exposedServices } from "../bindings/exposed-services.js";
import type { Route } from "../bindings/route.js";
import { describeRoute } from "../bindings/route-description.js";
import { isLoopback, isPlainUrl, parseAddress } from "../config/address.js";
import { type FilePosition, formatPath, type Path } from "../config/diagnostic.js";
import { Formats } from "../config/format.js";
import type { Compiled } from "../gateway/compile.js";
import type { GatewayConfig } from "../gateway/config.js";
import { httpListenersOf, redirects } from "../server/config.js";

/** From findings that an attacker can use today to minor ones. */
export const severities = ["high", "medium", "low"] as const;
export type Severity = (typeof severities)[number];

/** A setting that is valid and risky. */
export interface Risk {
  readonly severity: Severity;
  /** Name of the rule, for tools that count or ignore. */
  readonly rule: string;
  /** Path of the setting in the configuration. */
  readonly path: string;
  readonly position: FilePosition;
  /** The risk, and the configuration to write instead. */
  readonly message: string;
}

/** The input of an audit. */
type Audited = Pick<Compiled, "loaded" | "model" | "routes" | "builtIn">;

type Report = (severity: Severity, rule: string, path: Path, message: string) => unknown;
type Rule = (config: GatewayConfig, report: Report, audited: Audited) => void;

const rules: readonly Rule[] = [
  openRoutes,
  plainListeners,
  streamedUploads,
  browsers,
  tokens,
  logins,
  upstreams,
  secrets,
  disclosure,
];

/** Everything that is risky, the worst first. */
export function audit(audited: Audited): readonly Risk[] {
  const risks: Risk[] = [];
  const add: Report = (severity, rule, path, message) =>
    risks.push({ severity, rule, path: formatPath(path), position: audited.loaded.locate(path), message });
  for (const rule of rules) rule(audited.loaded.config, add, audited);
  const rank = ({ severity }: Risk): number => severities.indexOf(severity);
  return risks.toSorted((a, b) => rank(a) - rank(b) || a.position.line - b.position.line);
}

/** Names that a message lists at most. */
const shown = 3;

function list(names: readonly string[]): string {
  const more = names.length - shown;
  return `${names.slice(0, shown).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

const safe: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Routes without authentication that one part of the configuration declares. */
interface OpenRoutes {
  readonly path: Path;
  /** `auth: none` is written there, and not only left out. */
  readonly meant: boolean;
  readonly names: string[];
  writes: boolean;
  limited: boolean;
}

function openRoutes(config: GatewayConfig, report: Report, { model, routes, builtIn }: Audited): void {
  const exposed = exposedServices(config, model);
  const open = new Map<string, OpenRoutes>();
  for (const route of [...routes, ...builtIn]) {
    if (route.kind === "local" || authOf(route, config.auth.default) !== "none") continue;
    const [path, auth] = declarationOf(route, exposed);
    const key = `${formatPath(path)} ${auth !== undefined}`;
    const group = open.get(key) ?? {
      path,
      meant: auth !== undefined,
      names: [],
      writes: false,
      limited: true,
    };
    const { method, template } = describeRoute(route);
    group.names.push(`${method} ${template}`);
    group.writes ||= !safe.has(method);
    group.limited &&= limitsOf(route).length > 0;
    open.set(key, group);
  }
  for (const { path, meant, names, writes, limited } of open.values()) {
    const count = names.length === 1 ? "a route needs" : `${names.length} routes need`;
    const what = `${count} no authentication: ${list(names)}`;
    const severity = severities[(writes ? 0 : 1) + (meant ? 1 : 0)] ?? "low";
    report(severity, "open-route", path, `${what}; expected auth with a provider`);
    if (!limited) {
      const often = `anyone may call as often as they like: ${list(names)}; expected rate_limit`;
      report("medium", "open-route-without-limit", path, often);
    }
  }
}

/** The part of the configuration that exposes a route, and the `auth` that is written there. */
function declarationOf(
  route: Exclude<Route | BuiltInRoute, { kind: "local" }>,
  exposed: ReturnType<typeof exposedServices>,
): [path: Path, auth: unknown] {
  if (route.kind === "pass-through") return [route.passThrough.at, route.passThrough.auth];
  const [, service = "", method = ""] = route.rpc.path.split("/");
  const entry = exposed.get(service);
  if (entry === undefined) return [["services"], undefined];
  const { config, index } = entry;
  return [["services", index], config.methods[method]?.auth ?? config.auth];
}

function plainListeners(config: GatewayConfig, report: Report): void {
  const { http, realtime, admin } = config.listeners;
  const plain: [Path, { readonly address: string; readonly tls?: unknown } | undefined][] = [
    ...httpListenersOf(http)
      .filter(({ listener }) => !redirects(listener))
      .map(({ at, listener }): (typeof plain)[number] => [at, listener]),
    [["listeners", "realtime"], realtime],
  ];
  const reachable = (address: string): boolean => !isLoopback(parseAddress(address)?.host ?? "");
  const proxied = config.http.forwarded.trusted_hops > 0;
  for (const [at, listener] of plain) {
    if (listener === undefined || listener.tls !== undefined || proxied || !reachable(listener.address))
      continue;
    report(
      "medium",
      "plain-listener",
      at,
      "credentials and data cross the network in plain text; expected tls, or http.forwarded.trusted_hops where a proxy in front ends TLS",
    );
  }
  if (admin.tls === undefined && reachable(admin.address))
    report(
      "high",
      "plain-admin-listener",
      ["listeners", "admin"],
      "the token of operators crosses the network in plain text; expected tls",
    );
}

/** The addon reads on while its reads are full, even when paused (docs/reference/engines.md). */
function streamedUploads({ listeners }: GatewayConfig, report: Report, audited: Audited): void {
  const names = [...audited.routes, ...audited.builtIn].flatMap(route => {
    if (route.kind === "local") return [];
    if (route.kind !== "pass-through" && !route.rpc.clientStreaming) return [];
    const { method, template } = describeRoute(route);
    return [`${method} ${template}`];
  });
  if (names.length === 0) return;
  for (const { at, listener } of httpListenersOf(listeners.http)) {
    if (listener.engine !== "uws" || redirects(listener)) continue;
    report(
      "low",
      "streams-to-uws",
      [...at, "engine"],
      `${list(names)} take bodies as streams, and a fast client fills up to 32 MiB of memory for each that a backend takes slowly, and gets 413 then; expected the engine fastify, or a receive buffer of the kernel below 512 KiB (net.ipv4.tcp_rmem, see docs/reference/engines.md)`,
    );
  }
}

function browsers(config: GatewayConfig, report: Report): void {
  const { http, realtime, auth } = config;
  const any = "any page may call from the browsers of users; expected the origins of your own pages";
  if (http.cors?.origins.includes("*")) report("medium", "any-origin", ["http", "cors", "origins"], any);
  if (realtime?.origins?.includes("*")) report("medium", "any-origin", ["realtime", "origins"], any);
  if (realtime !== undefined && authNames(realtime.auth ?? auth.default) === "none")
    report(
      "high",
      "open-sockets",
      ["realtime"],
      "anyone may open sockets and join rooms; expected auth with a provider",
    );
}

function tokens(config: GatewayConfig, report: Report): void {
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

function logins(config: GatewayConfig, report: Report): void {
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

function upstreams(config: GatewayConfig, report: Report): void {
  for (const [name, { protocol, targets, tls, timeout }] of Object.entries(config.upstreams)) {
    const at = ["upstreams", name];
    const plain = targets.filter(target =>
      protocol === "http"
        ? isPlainUrl(target)
        : tls === undefined && !target.startsWith("unix:") && !isLoopback(hostOf(target)),
    );
    if (plain.length > 0)
      report(
        "low",
        "plain-upstream",
        at,
        `calls to ${list(plain)} cross the network in plain text; expected tls, or a network that nobody else is on`,
      );
    if (timeout === 0)
      report(
        "medium",
        "no-timeout",
        [...at, "timeout"],
        "a backend that hangs holds requests for ever; expected a duration such as 5s",
      );
  }
}

/** The host of a target of gRPC. */
function hostOf(target: string): string {
  const authority = target.slice(target.lastIndexOf("/") + 1);
  return parseAddress(authority)?.host ?? authority;
}

/** Secrets written in the file, and keys that other users of the machine may read. */
function secrets(config: GatewayConfig, report: Report, { loaded }: Audited): void {
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

function disclosure(config: GatewayConfig, report: Report): void {
  const { docs, grpc } = config.http;
  if (docs !== undefined && authNames(docs.auth ?? config.auth.default) === "none")
    report(
      "low",
      "open-documents",
      ["http", "docs"],
      "anyone may read which methods there are; expected auth where the API is not public",
    );
  if (grpc?.reflection !== undefined && authNames(grpc.reflection.auth ?? config.auth.default) === "none")
    report(
      "low",
      "open-reflection",
      ["http", "grpc", "reflection"],
      "anyone may list methods and messages; expected auth where the API is not public",
    );
  if (["debug", "trace"].includes(config.telemetry.log.level))
    report(
      "low",
      "verbose-log",
      ["telemetry", "log", "level"],
      "why credentials were refused is logged; expected info or above in production",
    );
}
