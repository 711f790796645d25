import { authNames } from "../auth/config.js";
import type { BuiltInRoute } from "../bindings/built-in-route.js";
import { authOf, limitsOf } from "../bindings/conditions.js";
import { exposedServices } from "../bindings/exposed-services.js";
import type { Route } from "../bindings/route.js";
import { describeRoute } from "../bindings/route-description.js";
import { formatPath, type Path } from "../config/diagnostic.js";
import type { GatewayConfig } from "../gateway/config.js";
import { httpListenersOf, redirects } from "../server/config.js";
import { logins, secrets, tokens } from "./credential-rules.js";
import { plainListeners, upstreams } from "./network-rules.js";
import { type Audited, list, type Report, type Risk, type Rule, severities } from "./rule.js";

const rules: readonly Rule[] = [
  openRoutes,
  plainListeners,
  streamedUploads,
  browsers,
  roomTokens,
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
  if (realtime !== undefined && authNames(realtime.auth ?? auth.default) === "none") {
    const { rooms } = realtime;
    const closed = typeof rooms !== "boolean" && rooms.every(({ token }) => token !== undefined);
    const what = closed ? "anyone may open sockets" : "anyone may open sockets and join rooms";
    report(closed ? "low" : "high", "open-sockets", ["realtime"], `${what}; expected auth with a provider`);
  }
}

/** Tokens for rooms whose providers accept more than a service has signed for this. */
function roomTokens({ realtime, auth }: GatewayConfig, report: Report): void {
  if (realtime === undefined || typeof realtime.rooms === "boolean") return;
  const callers = authNames(realtime.auth ?? auth.default);
  for (const [index, { token }] of realtime.rooms.entries()) {
    const provider = token && auth.providers[token.provider];
    if (token === undefined || provider?.type !== "jwt") continue;
    const at = ["realtime", "rooms", index, "token", "provider"];
    if (!provider.required_claims.includes("exp"))
      report(
        "medium",
        "endless-membership",
        at,
        "who has a token without exp is a member for as long as the socket is open; expected exp among the required claims of the provider",
      );
    if (callers !== "none" && callers.includes(token.provider))
      report(
        "low",
        "shared-room-provider",
        at,
        "a token for a room opens sockets, too, and one that opens sockets lets into rooms if it has the claim; expected a provider with an audience of its own",
      );
  }
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
