import { join } from "node:path";
import type { Route } from "../bindings/route.js";
import { compileRoutes, type RouteTable } from "../bindings/route-table.js";
import type { ServiceConfig } from "../bindings/service-config.js";
import type { VirtualHost } from "../bindings/virtual-hosts.js";
import type { Diagnostic } from "../config/diagnostic.js";
import { bundleFolder } from "../descriptors/load/files.js";
import { loadModel } from "../descriptors/load/load.js";
import type { MethodType, Model } from "../descriptors/model.js";
import { inTurns, type Pace } from "../net/pace.js";
import type { GrpcConfig } from "../protocols/config.js";
import { HealthService, type ServingSource } from "../protocols/own-services/health.js";
import { LocalChannel } from "../protocols/own-services/local-channel.js";
import { type PublishedFiles, publishFiles } from "../protocols/own-services/published-files.js";
import { reflectionMethods } from "../protocols/own-services/reflection.js";
import type { GatewayConfig } from "./config.js";
import type { UsableConfig } from "./read-config.js";
import { type GatewayState, readiness, upstreamReady } from "./readiness.js";

/** Used as the name of the upstream of routes; no upstream can have it. */
export const gatewayUpstream = "<gateway>";

/** The services of `http.grpc`, compiled. */
export interface OwnServices {
  /** The paths of their methods. */
  readonly routes: readonly Route[];
  /** The services that they publish where everything is served. */
  readonly known: KnownServices;
  /** The services that they publish at hosts that serve a part. */
  readonly knownAt: ReadonlyMap<VirtualHost, KnownServices>;
  readonly diagnostics: readonly Diagnostic[];
}

/** The services that callers of RPC may know of. */
export interface KnownServices {
  /** The upstreams of all services, the gateway's own among them, by full name. */
  readonly upstreams: ReadonlyMap<string, string>;
  /** Undefined where reflection is not served. */
  readonly files: PublishedFiles | undefined;
}

const protoFiles = {
  health: ["grpc/health/v1/health.proto"],
  reflection: ["grpc/reflection/v1/reflection.proto", "grpc/reflection/v1alpha/reflection.proto"],
} as const;

/**
 * Undefined where none is served.
 * @param table of the services that the configuration exposes
 * @param passed routes of services that pass unread
 */
export async function compileOwnServices(
  { config, locate }: UsableConfig,
  model: Model,
  {
    table,
    passed,
    hosts,
  }: {
    readonly table: RouteTable;
    readonly passed: readonly Route[];
    readonly hosts: readonly VirtualHost[];
  },
  pace: Pace,
): Promise<OwnServices | undefined> {
  const { grpc } = config.http;
  if (grpc?.health === undefined && grpc?.reflection === undefined) return undefined;
  const sections = (["health", "reflection"] as const).filter(name => grpc[name] !== undefined);
  const inputs = sections.flatMap(name =>
    protoFiles[name].map(file => ({
      kind: "protos" as const,
      folder: join(bundleFolder, file),
      include: [bundleFolder],
    })),
  );
  const { model: own } = await loadModel(inputs, pace, undefined, false);
  const services = [...own.services.keys()].map(name => {
    const section = name === "grpc.health.v1.Health" ? grpc.health : grpc.reflection;
    return serviceConfig(name, section ?? {}, config);
  });
  const { methodPaths } = await compileRoutes(
    { ...config, http: { ...config.http, rules: [] }, services },
    own,
    locate,
    pace,
  );
  const known = async (serves: (route: Route) => boolean): Promise<KnownServices> => {
    const callable = methodsOf([...table.routes, ...table.methodPaths].filter(serves));
    const ownMethods = methodsOf(methodPaths.filter(serves));
    const published = [
      { model, methods: [...callable.keys()] },
      { model: own, methods: [...ownMethods.keys()] },
    ];
    return {
      upstreams: new Map(
        [...callable, ...ownMethods, ...methodsOf(passed.filter(serves))].map(([{ service }, upstream]) => [
          service.fullName,
          upstream,
        ]),
      ),
      files: grpc.reflection && (await inTurns(pace, publishFiles(published))),
    };
  };
  const knownAt = new Map<VirtualHost, KnownServices>();
  for (const host of hosts)
    if (!host.everything && methodPaths.some(route => host.serves(route)))
      knownAt.set(host, await known(route => host.serves(route)));
  return {
    routes: methodPaths,
    known: await known(() => true),
    knownAt,
    diagnostics: conflicts(methodPaths, table, locate),
  };
}

function serviceConfig(
  service: string,
  { auth, rate_limit }: NonNullable<GrpcConfig["health"]>,
  config: GatewayConfig,
): ServiceConfig {
  return {
    service,
    upstream: gatewayUpstream,
    protocols: ["connect", "grpc-web", "grpc"],
    auth: auth ?? config.auth.default,
    rate_limit: rate_limit ?? "none",
    // Other dialects require headers of their own.
    errors: "status",
    timeout: 0,
    methods: {},
  };
}

/** The methods that other protocols than REST call, and their upstreams. */
function methodsOf(routes: readonly Route[]): Map<MethodType, string> {
  return new Map(
    routes.filter(({ protocols }) => protocols.length > 0).map(({ rpc, upstream }) => [rpc, upstream]),
  );
}

function conflicts(
  own: readonly Route[],
  { routes, methodPaths }: RouteTable,
  locate: UsableConfig["locate"],
): Diagnostic[] {
  const taken = new Map(
    [...routes, ...methodPaths].map(({ method, template, rpc }) => [
      `${method} ${template.text}`,
      rpc.fullName,
    ]),
  );
  return own.flatMap(({ method, template, rpc }) => {
    const by = taken.get(`${method} ${template.text}`);
    if (by === undefined) return [];
    const path = ["http", "grpc", rpc.service.fullName === "grpc.health.v1.Health" ? "health" : "reflection"];
    return [
      {
        severity: "error",
        message: `${method} ${template.text} is bound by ${by} of services already; expose the backend's or serve the gateway's own`,
        position: locate(path),
        path: path.join("."),
      },
    ];
  });
}

/**
 * A channel to the services of a generation.
 * @param shutdown aborted when the gateway shuts down
 */
export function ownChannel(
  { upstreams, files }: KnownServices,
  state: () => GatewayState,
  shutdown: AbortSignal,
): LocalChannel {
  const source: ServingSource = {
    services: [...upstreams.keys()],
    serving: service => {
      if (service === "") return readiness(state()).ready;
      const upstream = upstreams.get(service);
      return upstream === undefined ? undefined : upstreamReady(state(), upstream);
    },
  };
  const methods = new Map(new HealthService(source).methods);
  if (files !== undefined) for (const [path, method] of reflectionMethods(files)) methods.set(path, method);
  return new LocalChannel(methods, shutdown);
}
