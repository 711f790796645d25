import type { Authorizer } from "../auth/authorizer.js";
import type { BuiltInRoute, LocalHandler } from "../bindings/built-in-route.js";
import type { RouteChecks } from "../bindings/conditions.js";
import type { Route } from "../bindings/route.js";
import { routerOf } from "../bindings/route-table.js";
import { redact } from "../config/redaction.js";
import type { Model } from "../descriptors/model.js";
import type { RoomsPlace } from "../docs-page/catalog.js";
import { type PageSource, pageEndpoints } from "../docs-page/docs-page.js";
import type { ExplainSource } from "../explain/explanation.js";
import { createPace } from "../net/pace.js";
import type { ApiSource } from "../openapi/source.js";
import type { BridgePlan } from "../realtime/bridge/bridge-plan.js";
import type { Validators } from "../validation/compile.js";
import type { GatewayConfig } from "./config.js";
import type { UsableConfig } from "./read-config.js";
import { servesHttp, socketAuth, socketPath } from "./realtime-settings.js";

/** What pages and explanations use of a compiled configuration. */
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

/** The routes of the documents page of a listener. @param source is asked when requests come */
export function documentsPage(
  { docs }: GatewayConfig["http"],
  source: () => PageSource,
): readonly LocalHandler[] {
  return docs?.path === undefined ? [] : pageEndpoints(docs, docs.path, source);
}

/** What the page of a listener shows. */
export function pageSource(shown: Shown, api: ApiSource, listener: "http" | "realtime"): PageSource {
  const methodPaths = listener === "http" ? shown.methodPaths : [];
  return {
    catalog: {
      api,
      methodPaths,
      limits: shown.loaded.config.rate_limits,
      rooms: roomsPlace(shown, listener),
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

function roomsPlace(
  { loaded: { config }, bridge }: Shown,
  listener: "http" | "realtime",
): RoomsPlace | undefined {
  const { realtime } = config;
  if (realtime === undefined || (listener === "http" && !servesHttp(realtime))) return undefined;
  const auth = socketAuth(config, realtime);
  return {
    path: socketPath(realtime),
    rooms: realtime.rooms !== false,
    calls: [...(bridge?.calls.keys() ?? [])].slice(0, maxCalls),
    auth: auth === "none" ? undefined : auth,
  };
}
