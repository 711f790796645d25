import type { Authorizer, RoomAuthorizer } from "../auth/authorizer.js";
import { createPolicies, type Policies } from "../auth/policy/policies.js";
import { checkProviders } from "../auth/provider-check.js";
import type { AdminRoute } from "../bindings/admin-route.js";
import { type OwnRoute, ownRoute } from "../bindings/own-route.js";
import type { Route } from "../bindings/route.js";
import { compileRoutes, type RouteTable } from "../bindings/route-table.js";
import { type AuthNames, authNames } from "../config/auth-schema.js";
import { type Diagnostic, LoadError } from "../config/diagnostic.js";
import { type LoadedConfig, loadConfig } from "../config/load.js";
import type { Config, LiveKitConfig } from "../config/schema.js";
import { loadModel } from "../descriptors/load.js";
import type { MethodType, Model } from "../descriptors/model.js";
import type { LiveKit } from "../livekit/livekit.js";
import type { LiveKitDeps } from "../livekit/parts.js";
import type { Pace } from "../net/pace.js";
import { roomsRoutes } from "../realtime/api/admin-routes.js";
import type { BridgePlan } from "../realtime/bridge/bridge-plan.js";
import { compileBridge } from "../realtime/bridge/compile-bridge.js";
import { parseTemplate } from "../routing/template-parser.js";
import type { Channel } from "../upstream/channel.js";
import { compileValidators, type Validators } from "../validation/compile.js";
import { descriptorInputs, type ReflectedFiles } from "./descriptors.js";
import { passThroughRules } from "./pass-through.js";
import { realtimeEndpoints, socketAuth } from "./realtime-settings.js";
import { type Runtime, roomsOf } from "./runtime.js";
import { streamWarnings } from "./stream-warnings.js";
import { tlsProblems } from "./tls.js";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A configuration that can be used, with where its nodes stand. */
export type UsableConfig = LoadedConfig & { readonly config: Config };

/** Everything that a configuration file says, checked and compiled; nothing of it listens or connects. */
export interface Compiled {
  readonly loaded: UsableConfig;
  readonly model: Model;
  readonly routes: RouteTable["routes"];
  readonly own: RouteTable["own"];
  /** What the listener of the sockets answers beside them. */
  readonly realtimeOwn: readonly OwnRoute[];
  /** What the policies demand of a route; none where no policy matches. */
  readonly authorizers: ReadonlyMap<Route | OwnRoute, Authorizer>;
  readonly validators: Validators;
  /** What policies demand of rooms. */
  readonly rooms: RoomAuthorizer | undefined;
  /** What sockets ask of backends; undefined without `realtime`. */
  readonly bridge: BridgePlan | undefined;
  /** What policies demand of methods that sockets may call, whatever their routes. */
  readonly callAuthorizers: ReadonlyMap<MethodType, Authorizer>;
  readonly adminRoutes: readonly AdminRoute[];
  /** Warnings only. */
  readonly diagnostics: readonly Diagnostic[];
}

/** What compiled parts reach for once there are requests. */
export interface Surroundings {
  readonly runtime: Runtime;
  /** Of compiling, which goes on in turns of the event loop. */
  readonly pace: Pace;
  /** The channel of an upstream of the configuration. */
  channel(upstream: string): Channel;
}

/** @throws LoadError with every problem of the file */
export function readConfig(file: string, environment: Environment): UsableConfig {
  const loaded = loadConfig(file, environment);
  if (loaded.config === undefined) throw new LoadError(loaded.diagnostics);
  const usable = { ...loaded, config: loaded.config };
  const problems = tlsProblems(usable);
  if (problems.length > 0) throw new LoadError([...loaded.diagnostics, ...problems]);
  return usable;
}

/** @throws LoadError with every problem of the descriptors, or of the routes */
export async function compile(
  loaded: UsableConfig,
  reflected: ReflectedFiles,
  surroundings: Surroundings,
): Promise<Compiled> {
  const { config, locate } = loaded;
  const { pace } = surroundings;
  const { model, diagnostics } = await loadModel(descriptorInputs(config, reflected), pace);
  const livekit = config.livekit && (await livekitOf(config.livekit, loaded, model, surroundings));
  const realtime = realtimeEndpoints(config, () => roomsOf(surroundings.runtime));
  const declared = [
    ...(livekit?.endpoints ?? []),
    ...realtime.rest,
    ...(realtime.path !== undefined && realtime.pathOnHttp ? [realtime.path] : []),
    ...passThroughRules(config),
    ...surroundings.runtime.endpoints,
  ];
  const table = await compileRoutes(config, model, locate, pace, declared);
  const policies = createPolicies(config.auth.policies, { locate, metrics: surroundings.runtime.policies });
  const onHttp = new Map(
    table.own.flatMap(route => (route.kind === "endpoint" ? [[route.endpoint, route] as const] : [])),
  );
  const realtimeOwn = [...realtime.rest, realtime.path].flatMap(endpoint =>
    endpoint === undefined ? [] : [onHttp.get(endpoint) ?? ownRoute(endpoint)],
  );
  const authorizers = await authorizersOf(
    new Set([...table.routes, ...table.own, ...realtimeOwn]),
    config,
    policies,
    pace,
  );
  const bridge = config.realtime && compileBridge(config, config.realtime, model, locate);
  const rooms = config.realtime && policies.rooms(socketAuth(config, config.realtime) !== "none");
  const callAuthorizers = callAuthorizersOf(bridge?.plan, policies);
  const validated = table.routes.filter(({ policy }) => policy.validate);
  const validators = await compileValidators(
    model,
    validated.map(({ rpc }) => rpc.input),
    pace,
  );
  const all = [
    ...loaded.diagnostics,
    ...diagnostics,
    ...(livekit?.diagnostics ?? []),
    ...table.diagnostics,
    ...streamWarnings(config, model, table.routes, locate),
    ...(bridge?.diagnostics ?? []),
    ...policies.diagnostics(),
    ...checkProviders(config, model, locate),
    ...validators.diagnostics,
  ];
  if (all.some(each => each.severity === "error")) throw new LoadError(all);
  const { routes, own } = table;
  return {
    loaded,
    model,
    routes,
    own,
    realtimeOwn,
    authorizers,
    validators,
    rooms,
    bridge: bridge?.plan,
    callAuthorizers,
    adminRoutes: [
      ...(livekit?.adminRoutes ?? []),
      ...(config.realtime === undefined
        ? []
        : roomsRoutes(() => roomsOf(surroundings.runtime).realtime.hub, config.realtime.rooms)),
    ],
    diagnostics: all,
  };
}

/** Its SDK is loaded only where it is used. */
async function livekitOf(
  section: LiveKitConfig,
  loaded: UsableConfig,
  model: Model,
  surroundings: Surroundings,
): Promise<LiveKit> {
  const { createLiveKit } = await import("../livekit/livekit.js");
  return createLiveKit(loaded.config, section, livekitParts(loaded, model, surroundings));
}

function livekitParts(
  { config, locate }: UsableConfig,
  model: Model,
  { runtime, channel }: Surroundings,
): LiveKitDeps {
  return {
    model,
    channel,
    metrics: runtime.livekit,
    removals: runtime.removals,
    publish:
      config.realtime?.rooms === true
        ? async (room, message) => void (await roomsOf(runtime).realtime.hub.publish({ room, ...message }))
        : undefined,
    log: (level, fields, message) => runtime.log[level](fields, message),
    locate,
  };
}

async function authorizersOf(
  routes: Iterable<Route | OwnRoute>,
  { auth }: Config,
  policies: Policies,
  pace: Pace,
): Promise<Map<Route | OwnRoute, Authorizer>> {
  const units = 1 + auth.policies.length;
  const authorizers = new Map<Route | OwnRoute, Authorizer>();
  for (const route of routes) {
    const { method, template } = route;
    const rpc = route.kind === "rpc" ? route.rpc : undefined;
    const authenticated = authOf(route, auth.default) !== "none";
    const authorizer = policies.authorizer({ method, template, rpc, authenticated });
    if (authorizer !== undefined) authorizers.set(route, authorizer);
    if (pace.spent(units)) await pace.nextTurn();
  }
  return authorizers;
}

/** Who may call a route. */
export function authOf(route: Route | OwnRoute, otherwise: string | readonly string[]): AuthNames {
  switch (route.kind) {
    case "rpc":
      return route.policy.auth;
    case "endpoint":
      return authNames(route.endpoint.auth ?? otherwise);
    case "pass-through":
      return authNames(route.rule.auth ?? otherwise);
  }
}

/** Policies that match by RPC hold for calls of sockets, too. */
function callAuthorizersOf(plan: BridgePlan | undefined, policies: Policies): Map<MethodType, Authorizer> {
  const authorizers = new Map<MethodType, Authorizer>();
  for (const { method } of plan?.calls.values() ?? []) {
    const template = parseTemplate(method.path);
    const target = { method: "POST", template, rpc: method, authenticated: true, routeless: true };
    const authorizer = policies.authorizer(target);
    if (authorizer !== undefined) authorizers.set(method, authorizer);
  }
  return authorizers;
}
