import type { Authorizer } from "../auth/authorizer.js";
import type { BuiltInRoute, LocalHandler } from "../bindings/built-in-route.js";
import type { RouteChecks } from "../bindings/conditions.js";
import type { Route } from "../bindings/route.js";
import { routerOf } from "../bindings/route-table.js";
import type { VirtualHost } from "../bindings/virtual-hosts.js";
import { redact } from "../config/redaction.js";
import type { Model } from "../descriptors/model.js";
import type { RealtimeAccess } from "../docs-page/catalog.js";
import { type PageSource, pageEndpoints } from "../docs-page/docs-page.js";
import type { ExplainSource } from "../explain/explanation.js";
import { createPace } from "../net/pace.js";
import { Documents, documentEndpoints, type KeptDocuments } from "../openapi/documents.js";
import type { ApiSource } from "../openapi/source.js";
import type { BridgePlan } from "../realtime/bridge/bridge-plan.js";
import { httpListenersOf } from "../server/config.js";
import type { Validators } from "../validation/compile.js";
import type { GatewayConfig } from "./config.js";
import type { UsableConfig } from "./read-config.js";
import { isSocketPath, socketAuth, socketPath } from "./realtime-settings.js";

/** The parts of a compiled configuration for pages and explanations. */
interface Shown {
  readonly loaded: UsableConfig;
  readonly model: Model;
  readonly methodPaths: readonly Route[];
  readonly authorizers: ReadonlyMap<Route | BuiltInRoute, Authorizer>;
  readonly validators: Validators;
  readonly checks: RouteChecks;
  readonly bridge: BridgePlan | undefined;
}

/** Calls over sockets that a page offers. */
const maxCalls = 50;

/** The sources of documents; called when requests come. */
interface DocumentSources {
  readonly api: () => ApiSource;
  readonly page: () => PageSource;
}

/** The routes of the documents and of their page, on a listener or at a host of it. */
export function documentHandlers(
  { http, listeners }: GatewayConfig,
  listener: "http" | "realtime",
  kept: KeptDocuments,
  { api, page }: DocumentSources,
): readonly LocalHandler[] {
  const { docs } = http;
  const served =
    listener === "http"
      ? httpListenersOf(listeners.http).some(({ name }) => servesDocuments(http, name))
      : docs?.listeners.includes("realtime") === true;
  if (docs === undefined || !served) return [];
  return [
    ...documentEndpoints(docs, new Documents(api, kept)),
    ...(docs.path === undefined ? [] : pageEndpoints(docs, docs.path, page)),
  ];
}

/** Whether a listener of the REST API serves documents; `http` means all of `listeners.http`. */
export function servesDocuments({ docs }: GatewayConfig["http"], listener: string): boolean {
  return docs?.listeners.some(name => name === "http" || name === listener) === true;
}

/** For each host that serves a part: its documents, which replace those of everything. */
export type HostDocuments = ReadonlyMap<VirtualHost, ReadonlyMap<LocalHandler, LocalHandler>>;

/**
 * Documents of the routes of each host.
 * @param handlers documents of `api`, the routes of all hosts together
 */
export function hostDocuments(
  shown: Shown,
  hosts: readonly VirtualHost[],
  handlers: readonly LocalHandler[],
  api: ApiSource,
  kept: KeptDocuments,
): HostDocuments {
  const documentsAt = (host: VirtualHost): ReadonlyMap<LocalHandler, LocalHandler> => {
    const serves = (route: Route | BuiltInRoute): boolean => host.serves(route);
    let made: ApiSource | undefined;
    const apiAt = (): ApiSource => {
      made ??= { ...api, routes: api.routes.filter(serves), builtIn: api.builtIn.filter(serves) };
      return made;
    };
    const own = documentHandlers(shown.loaded.config, "http", kept, {
      api: apiAt,
      page: () => pageSource({ ...shown, methodPaths: shown.methodPaths.filter(serves) }, apiAt(), "http"),
    });
    return new Map(handlers.map((handler, index) => [handler, own[index] as LocalHandler]));
  };
  return new Map(hosts.filter(({ everything }) => !everything).map(host => [host, documentsAt(host)]));
}

/** The content of the page of a listener or host. */
export function pageSource(shown: Shown, api: ApiSource, listener: "http" | "realtime"): PageSource {
  const methodPaths = listener === "http" ? shown.methodPaths : [];
  return {
    catalog: {
      api,
      methodPaths,
      limits: shown.loaded.config.rate_limits,
      rooms: api.builtIn.some(isSocketPath) ? roomsOf(shown) : undefined,
    },
    explain: () => explainSource(shown, [...api.routes, ...api.builtIn, ...methodPaths]),
  };
}

/** @param routes of one listener */
export async function explainSource(
  { loaded, model, authorizers, validators, checks }: Omit<Shown, "methodPaths" | "bridge">,
  routes: readonly (Route | BuiltInRoute)[],
): Promise<ExplainSource> {
  const { auth, rate_limits } = loaded.config;
  const shown = redact({ auth, rate_limits }, loaded.secrets) as Pick<GatewayConfig, "auth" | "rate_limits">;
  const router = await routerOf<Route | BuiltInRoute, Route | BuiltInRoute>(
    routes,
    route => route,
    createPace(),
  );
  return {
    model,
    router,
    checks,
    validators: validators.byType,
    auth: shown.auth,
    limits: shown.rate_limits,
    authorizers,
  };
}

function roomsOf({ loaded: { config }, bridge }: Shown): RealtimeAccess | undefined {
  const { realtime } = config;
  if (realtime === undefined) return undefined;
  const auth = socketAuth(config, realtime);
  return {
    path: socketPath(realtime),
    rooms: realtime.rooms !== false,
    calls: [...(bridge?.calls.keys() ?? [])].slice(0, maxCalls),
    auth: auth === "none" ? undefined : auth,
  };
}
