import { type Authenticators, checkProviders } from "../auth/authenticators.js";
import type { Authorizer, RoomAuthorizer } from "../auth/authorizer.js";
import { jointAuthorizer } from "../auth/authorizer.js";
import { createPolicies, type Policies } from "../auth/policy/policies.js";
import type { AdminRoute } from "../bindings/admin-route.js";
import type { LocalHandler } from "../bindings/built-in-route.js";
import { type BuiltInRoute, builtInRoute, type PassThroughPrefix } from "../bindings/built-in-route.js";
import { authOf, type RouteChecks } from "../bindings/conditions.js";
import type { Route } from "../bindings/route.js";
import { compileRoutes, type RouteTable } from "../bindings/route-table.js";
import { passedHeaders } from "../bindings/service-check.js";
import { hostProblems, type VirtualHost, virtualHosts } from "../bindings/virtual-hosts.js";
import { type Diagnostic, LoadError } from "../config/diagnostic.js";
import { type DescriptorInput, loadModel } from "../descriptors/load/load.js";
import type { MessageType, MethodType, Model } from "../descriptors/model.js";
import type { PageSource } from "../docs-page/docs-page.js";
import type { LiveKitConfig } from "../livekit/config.js";
import type { LiveKit } from "../livekit/livekit.js";
import type { Pace } from "../net/pace.js";
import { KeptDocuments } from "../openapi/documents.js";
import type { ApiSource } from "../openapi/source.js";
import { roomsRoutes } from "../realtime/api/admin-routes.js";
import type { BridgePlan } from "../realtime/bridge/bridge-plan.js";
import { compileBridge } from "../realtime/bridge/compile-bridge.js";
import { compileFeeds, type FeedPlan } from "../realtime/feeds/compile-feeds.js";
import { roomKindsOf } from "../realtime/rooms/room-kinds.js";
import { parseTemplate } from "../routing/template-parser.js";
import type { Channel } from "../upstream/channel.js";
import { compileValidators, type Validators } from "../validation/compile.js";
import type { ReflectedFiles } from "./backends.js";
import type { GatewayConfig } from "./config.js";
import { documentHandlers, type HostDocuments, hostDocuments, pageSource } from "./documents-page.js";
import { grpcPassThroughRoutes } from "./grpc-pass-through.js";
import { providerRoutes } from "./guards.js";
import { compileOwnServices, type OwnServices } from "./own-services.js";
import { passThroughRules } from "./pass-through.js";
import type { UsableConfig } from "./read-config.js";
import { type RealtimeHandlers, type Rooms, realtimeHandlers, socketAuth } from "./realtime-settings.js";
import type { Runtime } from "./runtime.js";

/** The content of a configuration file, checked and compiled; nothing of it listens or connects. */
export interface Compiled {
  readonly loaded: UsableConfig;
  readonly model: Model;
  readonly routes: RouteTable["routes"];
  readonly builtIn: RouteTable["builtIn"];
  /** Undefined where none is served. */
  readonly ownServices: OwnServices | undefined;
  /** The paths of methods on which other protocols than REST call them. */
  readonly methodPaths: RouteTable["methodPaths"];
  /** Where each part is served; none: everything at every host. */
  readonly hosts: readonly VirtualHost[];
  readonly hostDocuments: HostDocuments;
  /** The routes of the realtime listener beside its sockets. */
  readonly socketListenerRoutes: readonly BuiltInRoute[];
  /** The policies of routes; none where no policy matches. */
  readonly authorizers: ReadonlyMap<Route | BuiltInRoute, Authorizer>;
  readonly validators: Validators;
  /** The conditions on requests of routes. */
  readonly checks: RouteChecks;
  /** The API of the HTTP listener, for documents. */
  readonly api: ApiSource;
  /** The policies of rooms. */
  readonly roomPolicy: RoomAuthorizer | undefined;
  /** The calls from sockets to backends; undefined without `realtime`. */
  readonly bridge: BridgePlan | undefined;
  /** By the index of the entry in `realtime.rooms`. */
  readonly feeds: ReadonlyMap<number, FeedPlan>;
  /** The policies of methods that sockets may call, on any of their routes. */
  readonly callAuthorizers: ReadonlyMap<MethodType, Authorizer>;
  readonly adminRoutes: readonly AdminRoute[];
  /** Warnings only. */
  readonly diagnostics: readonly Diagnostic[];
}

export interface CompileContext {
  readonly runtime: Runtime;
  /** Serves the rooms of the configuration; called when requests come. */
  readonly rooms: Rooms;
  /** The providers of the configuration; called when requests come. */
  authenticators(): Authenticators;
  /** The channel of an upstream of the configuration; called when calls are made. */
  channel(upstream: string): Channel;
  readonly pace: Pace;
  /** Whether comments of the descriptors are kept, though the configuration serves no documents. */
  readonly comments: boolean;
}

/**
 * Compiles a configuration in turns of the event loop.
 * @throws LoadError with every problem of the descriptors, or of the routes
 */
export async function compile(
  loaded: UsableConfig,
  reflected: ReflectedFiles,
  context: CompileContext,
): Promise<Compiled> {
  const { config, locate } = loaded;
  const { runtime, rooms, pace } = context;
  const { model, diagnostics } = await loadModel(
    descriptorInputs(config, reflected),
    pace,
    usedServices(config),
    context.comments || config.http.docs !== undefined,
  );
  const livekit = config.livekit && (await compileLiveKit(config.livekit, loaded, model, context));
  const realtime = realtimeHandlers(config, rooms);
  const api: { http?: ApiSource; realtime?: ApiSource } = {};
  const pages: { http?: PageSource; realtime?: PageSource } = {};
  const kept = new KeptDocuments();
  // Their sources are complete before they serve.
  const documents = (listener: "http" | "realtime"): readonly LocalHandler[] =>
    documentHandlers(config, listener, kept, {
      api: () => api[listener] as ApiSource,
      page: () => pages[listener] as PageSource,
    });
  const docs = { http: documents("http"), realtime: documents("realtime") };
  const hosts = virtualHosts(config.http.hosts);
  const served = providerRoutes(config.auth.providers, context.authenticators);
  const declared = [...builtIns(config, livekit, realtime, runtime), ...served, ...docs.http];
  const table = await compileRoutes(config, model, locate, pace, declared, hosts);
  const passed = grpcPassThroughRoutes(loaded, model);
  const ownServices = await compileOwnServices(loaded, model, { table, passed, hosts }, pace);
  const callable = [...table.methodPaths, ...(ownServices?.routes ?? [])];
  const methodPaths = [...callable, ...passed];
  const socketRoutes = socketListenerRoutes([...socketEndpoints(realtime), ...docs.realtime], table);
  const policies = createPolicies(config.auth.policies, { locate, metrics: runtime.policies });
  const all = new Set([...table.routes, ...table.builtIn, ...socketRoutes, ...passed]);
  const authorizers = await authorizersOf(all, config, policies, pace);
  if (config.auth.policies.length > 0)
    authorizePaths({ ...table, methodPaths: callable }, authorizers, policies);
  const bridge =
    config.realtime && compileBridge(config, config.realtime, model, locate, roomKindsOf(config.realtime));
  const feeds = compileFeeds(config, config.realtime?.rooms ?? false, model, locate);
  const roomPolicy =
    config.realtime &&
    policies.rooms(socketAuth(config, config.realtime) !== "none", roomKindsOf(config.realtime));
  const callAuthorizers = callAuthorizersOf(bridge?.plan, policies);
  const validators = await compileValidators(model, validatedTypes(table), pace);
  const checks = { auth: config.auth.default, authorizers, validated: validators.byType };
  const describe = (routes: readonly Route[], builtIn: readonly BuiltInRoute[]): ApiSource => {
    const { title } = config.http.docs ?? { title: "API" };
    return { title, routes, builtIn, checks, providers: config.auth.providers, uploads: config.http.uploads };
  };
  api.http = describe(table.routes, table.builtIn);
  api.realtime = describe([], socketRoutes);
  const shown = {
    loaded,
    model,
    authorizers,
    validators,
    checks,
    methodPaths: table.methodPaths,
    bridge: bridge?.plan,
  };
  pages.http = pageSource(shown, api.http, "http");
  pages.realtime = pageSource(shown, api.realtime, "realtime");
  const problems = [
    ...loaded.diagnostics,
    ...diagnostics,
    ...(livekit?.diagnostics ?? []),
    ...table.diagnostics,
    ...(ownServices?.diagnostics ?? []),
    ...hostProblems(config.http.hosts, hosts, [...table.routes, ...methodPaths, ...table.builtIn], locate),
    ...(bridge?.diagnostics ?? []),
    ...feeds.diagnostics,
    ...policies.diagnostics(),
    ...checkProviders(config, { model, passedHeaders: passedHeaders(config) }, locate),
    ...validators.diagnostics,
  ];
  if (problems.some(each => each.severity === "error")) throw new LoadError(problems);
  return {
    loaded,
    model,
    routes: table.routes,
    builtIn: table.builtIn,
    ownServices,
    methodPaths,
    hosts,
    hostDocuments: hostDocuments(shown, hosts, docs.http, api.http, kept),
    socketListenerRoutes: socketRoutes,
    authorizers,
    validators,
    checks,
    api: api.http,
    roomPolicy: roomPolicy,
    bridge: bridge?.plan,
    feeds: feeds.plans,
    callAuthorizers,
    adminRoutes: [...(livekit?.adminRoutes ?? []), ...roomsAdminRoutes(config, rooms)],
    diagnostics: problems,
  };
}

/** The configured sources of descriptors in order, with the reflected files. */
export function descriptorInputs(config: GatewayConfig, reflected: ReflectedFiles): DescriptorInput[] {
  return config.descriptors.map(source => {
    if ("protos" in source) {
      const { protos: folder, include, exclude } = source;
      return { kind: "protos", folder, include, exclude };
    }
    if ("set" in source) return { kind: "set", file: source.set };
    const origin = `reflection of upstream "${source.reflection}"`;
    return { kind: "files", origin, files: reflected.get(source.reflection) ?? [] };
  });
}

/** Its SDK is loaded only where it is used. */
async function compileLiveKit(
  section: LiveKitConfig,
  { config, locate }: UsableConfig,
  model: Model,
  { runtime, rooms, channel }: CompileContext,
): Promise<LiveKit> {
  const { createLiveKit } = await import("../livekit/livekit.js");
  return createLiveKit(config, section, {
    model,
    channel,
    metrics: runtime.livekit,
    removals: runtime.removals,
    delivered: runtime.delivered,
    publish:
      (config.realtime?.rooms ?? false) !== false
        ? async (room, message) => void (await rooms.realtime.hub.publish({ room, ...message }))
        : undefined,
    log: (level, fields, message) => runtime.log[level](fields, message),
    locate,
  });
}

/** The routes of the HTTP listener without an RPC method. */
function builtIns(
  config: GatewayConfig,
  livekit: LiveKit | undefined,
  realtime: RealtimeHandlers,
  runtime: Runtime,
): readonly (LocalHandler | PassThroughPrefix)[] {
  return [
    ...(livekit?.endpoints ?? []),
    ...realtime.rest,
    ...(realtime.pathOnHttp ? realtime.path : []),
    ...passThroughRules(config),
    ...runtime.handlers,
  ];
}

function socketEndpoints({ rest, path }: RealtimeHandlers): readonly LocalHandler[] {
  return [...rest, ...path];
}

/** The same routes as on the HTTP listener, where that serves them. */
function socketListenerRoutes(
  endpoints: readonly LocalHandler[],
  { builtIn: own }: RouteTable,
): BuiltInRoute[] {
  const onHttp = new Map(
    own.flatMap(route => (route.kind === "local" ? [[route.handler, route] as const] : [])),
  );
  return endpoints.map(endpoint => onHttp.get(endpoint) ?? builtInRoute(endpoint));
}

function validatedTypes({ routes, methodPaths }: RouteTable): MessageType[] {
  return [...routes, ...methodPaths].filter(({ policy }) => policy.validate).map(({ rpc }) => rpc.input);
}

function roomsAdminRoutes({ realtime }: GatewayConfig, rooms: Rooms): readonly AdminRoute[] {
  return realtime === undefined ? [] : roomsRoutes(() => rooms.realtime.hub, realtime.rooms !== false);
}

async function authorizersOf(
  routes: Iterable<Route | BuiltInRoute>,
  { auth }: GatewayConfig,
  policies: Policies,
  pace: Pace,
): Promise<Map<Route | BuiltInRoute, Authorizer>> {
  const units = 1 + auth.policies.length;
  const authorizers = new Map<Route | BuiltInRoute, Authorizer>();
  if (auth.policies.length === 0) return authorizers;
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

/** On the path of a method hold the policies of all of its routes, and those that match it by RPC or by this path. */
function authorizePaths(
  { routes, methodPaths }: RouteTable,
  authorizers: Map<Route | BuiltInRoute, Authorizer>,
  policies: Policies,
): void {
  if (methodPaths.length === 0) return;
  const ofMethods = new Map<MethodType, Authorizer[]>();
  for (const route of routes) {
    const authorizer = authorizers.get(route);
    const list = ofMethods.get(route.rpc) ?? [];
    if (authorizer !== undefined) list.push(authorizer);
    ofMethods.set(route.rpc, list);
  }
  for (const path of methodPaths) {
    const { template, rpc, policy } = path;
    const ofRoutes = ofMethods.get(rpc);
    // That a policy needs authentication is reported for the routes.
    const authenticated = ofRoutes !== undefined || policy.auth !== "none";
    const own = policies.authorizer({ method: "POST", template, rpc, authenticated, routeless: true });
    const authorizer = jointAuthorizer([own, ...(ofRoutes ?? [])], "by its RPC path");
    if (authorizer !== undefined) authorizers.set(path, authorizer);
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

/** The services that the configuration names: those that it exposes, and those with methods that the gateway calls itself. */
function usedServices(config: GatewayConfig): string[] {
  const called = methodNames({ ...config, services: [] }).map(name => name.slice(0, name.indexOf("/")));
  return [...new Set([...config.services.map(({ service }) => service), ...called])];
}

/** All texts of the form `package.Service/Method`. */
function methodNames(value: unknown): string[] {
  if (typeof value === "string") return /^\w+(?:\.\w+)*\/\w+$/.test(value) ? [value] : [];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(methodNames) : [];
}
