import { AdminListenerSchema, checkAdminListener } from "../admin/config.js";
import { AuthSchema, checkAuth } from "../auth/config.js";
import { checkHosts, HostsSchema } from "../bindings/host-config.js";
import { checkRules, RulesSchema } from "../bindings/rule-config.js";
import { checkServices, passedHeaders } from "../bindings/service-check.js";
import { QuerySchema, ServiceDefaultsSchema, ServicesSchema } from "../bindings/service-config.js";
import { CompressionSchema, checkCompression } from "../compression/config.js";
import type { Address } from "../config/address.js";
import { parseAddress } from "../config/address.js";
import type { ConfigInput } from "../config/compose.js";
import { formatPath, type Path } from "../config/diagnostic.js";
import type { Findings } from "../config/findings.js";
import type { LoadedConfig } from "../config/load.js";
import { loadFiles } from "../config/load.js";
import type { DraftOf, Loaded } from "../config/schema.js";
import { choice, duration, listOf, mapping, section, size, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";
import { checkDescriptors, DescriptorsSchema } from "../descriptors/config.js";
import { dialectNames } from "../dialects/dialects.js";
import { checkRateLimits, RateLimitsSchema } from "../limits/config.js";
import { LiveKitSchema } from "../livekit/config.js";
import { checkLiveKit } from "../livekit/config-check.js";
import { checkDocs, DocsSchema } from "../openapi/config.js";
import { CorsSchema, checkResponseHeaders, SecurityHeadersSchema } from "../pipeline/config.js";
import { checkProxies, ProxySchema } from "../pipeline/proxy-config.js";
import { checkGrpc, GrpcSchema } from "../protocols/config.js";
import { RealtimeListenerSchema, RealtimeSchema } from "../realtime/config.js";
import { checkRealtime } from "../realtime/config-check.js";
import {
  certificatesOf,
  checkHttpListeners,
  HttpListenersSchema,
  httpListenersOf,
  redirects,
} from "../server/config.js";
import { checkTelemetry, TelemetrySchema } from "../telemetry/config.js";
import { UploadsSchema } from "../uploads/config.js";
import { checkUpstreams, UpstreamsSchema } from "../upstream/config.js";
import { workersSchema } from "../workers/config.js";
import { knownMistakes } from "./known-mistakes.js";
import { ReloadSchema } from "./reload/config.js";

const ListenersSchema = mapping(
  {
    http: HttpListenersSchema,
    realtime: Type.Optional(RealtimeListenerSchema),
    admin: AdminListenerSchema,
  },
  "What the gateway listens on.",
);

const HttpSchema = section(
  {
    rules: RulesSchema,
    hosts: Type.Optional(HostsSchema),
    limits: section(
      {
        body: size({ description: "Largest request body.", default: "1MiB" }, 1, 1 << 30),
        header: size({ description: "Largest request header block.", default: "16KiB" }, 1024, 1 << 20),
        depth: Type.Integer({
          minimum: 1,
          maximum: 1000,
          default: 100,
          description: "Maximum levels of nested JSON, in requests and responses. From 1 to 1000.",
        }),
        streams: Type.Integer({
          minimum: 1,
          maximum: 1000,
          default: 128,
          description:
            "Maximum requests under way on one HTTP/2 connection; further ones are refused with REFUSED_STREAM, and clients send them again. From 1 to 1000.",
        }),
        resets: Type.Integer({
          minimum: 10,
          maximum: 100_000,
          default: 1000,
          description:
            "Maximum requests that a client may reset at once on one HTTP/2 connection, and a tenth of it more each second; beyond that the connection ends with ENHANCE_YOUR_CALM. From 10 to 100000.",
        }),
        request_timeout: duration({
          description: "How long a client may take to send its request.",
          default: "30s",
        }),
      },
      "Limits of a request.",
    ),
    proxy: ProxySchema,
    cors: Type.Optional(CorsSchema),
    uploads: Type.Optional(UploadsSchema),
    compression: Type.Optional(CompressionSchema),
    docs: Type.Optional(DocsSchema),
    security_headers: SecurityHeadersSchema,
    grpc: Type.Optional(GrpcSchema),
    query: QuerySchema,
    errors: choice(dialectNames, {
      description: "The form of error bodies where no route matches.",
      default: "status",
    }),
    forwarded: section(
      {
        trusted_hops: Type.Integer({
          minimum: 0,
          maximum: 100,
          default: 0,
          description:
            "How many proxies in front of the gateway are trusted to have set x-forwarded-*. With 0 the headers of clients are dropped.",
        }),
      },
      "Trust in x-forwarded-* headers.",
    ),
  },
  "The REST API as a whole.",
);

/** Read before anything else, in each file; no configuration that is loaded has it. */
const IncludeSchema = listOf(text("path", { description: "A file, or a glob with `*`, `?` and `**`." }), {
  description:
    "Files that belong to the configuration, each with any of its sections: lists are concatenated, names are added, a setting may be in one file only.",
});

/** Every key of the configuration file: types, defaults, bounds and the text that editors show. */
export const ConfigSchema = mapping(
  {
    listeners: ListenersSchema,
    include: Type.Optional(IncludeSchema),
    descriptors: DescriptorsSchema,
    upstreams: UpstreamsSchema,
    services: ServicesSchema,
    service_defaults: ServiceDefaultsSchema,
    http: HttpSchema,
    auth: AuthSchema,
    rate_limits: RateLimitsSchema,
    realtime: Type.Optional(RealtimeSchema),
    livekit: Type.Optional(LiveKitSchema),
    telemetry: TelemetrySchema,
    server: section(
      {
        workers: workersSchema,
        drain: duration(
          {
            description: "How long requests and streams under way may take to finish at shutdown.",
            default: "30s",
          },
          0,
        ),
      },
      "The process.",
    ),
    reload: ReloadSchema,
  },
  "Configuration of the Protogate API gateway.",
);

/** The whole configuration, loaded. Only the gateway knows it; features know their own sections. */
export type GatewayConfig = Loaded<typeof ConfigSchema>;
export type ListenersConfig = GatewayConfig["listeners"];
export type LoadedGatewayConfig = LoadedConfig<GatewayConfig>;

/** The largest body that any method takes, in bytes. */
export function largestBody({ http, service_defaults: defaults, services }: GatewayConfig): number {
  const levels = [defaults, ...services, ...services.flatMap(({ methods }) => Object.values(methods))];
  return Math.max(http.limits.body, ...levels.map(({ limits }) => limits?.body ?? 0));
}

/** @param env the values of `${NAME}` in the file */
export function loadConfig(
  input: ConfigInput,
  env: Readonly<Record<string, string | undefined>> = process.env,
): LoadedGatewayConfig {
  return loadFiles(input, { schema: ConfigSchema, mistakes: knownMistakes, check }, env);
}

type Draft = DraftOf<GatewayConfig>;

function check(draft: Draft, findings: Findings): void {
  const { auth, listeners, upstreams, rate_limits, telemetry } = draft;
  const http = httpListenersOf(listeners?.http);
  checkHttpListeners(listeners?.http, findings);
  checkAdminListener(listeners?.admin, findings);
  checkDescriptors(draft, findings);
  checkUpstreams(upstreams, findings);
  checkServices(draft, findings);
  checkRules(draft.http?.rules, findings);
  checkHosts(
    draft.http?.hosts,
    http
      .filter(({ listener }) => !redirects(listener))
      .map(({ at, listener }) => ({ at, hosts: listener.hosts })),
    findings,
  );
  checkResponseHeaders(draft, findings);
  checkCompression(draft.http?.compression, findings);
  checkProxies(draft, findings);
  checkDocs(
    draft,
    http.map(({ name }) => name),
    findings,
  );
  checkGrpc(draft, findings);
  const clientCertificates =
    listeners?.http &&
    http.some(({ listener: { tls } }) => {
      const [first] = certificatesOf(tls);
      return first !== undefined && "client_ca" in first;
    });
  checkAuth(auth, { upstreams, passedHeaders: passedHeaders(draft), clientCertificates }, findings);
  checkRateLimits(rate_limits, findings);
  checkLiveKit(draft, findings);
  checkRealtime(draft, findings);
  checkTelemetry(telemetry, findings);
  checkAddresses(draft, findings);
}

/** No two listeners may have one port. */
function checkAddresses({ listeners, realtime }: Draft, findings: Findings): void {
  const earlier: { readonly name: string; readonly address: Address }[] = [];
  const addresses: [path: Path, text: string | undefined][] = [
    ...httpListenersOf(listeners?.http).map(({ at, listener }): [Path, string | undefined] => [
      at,
      listener.address,
    ]),
    [["listeners", "admin"], listeners?.admin?.address],
    [["listeners", "realtime"], listeners?.realtime?.address],
    [["realtime", "api"], realtime?.api?.address],
  ];
  for (const [path, text = ""] of addresses) {
    const address = parseAddress(text);
    if (address === undefined) continue;
    const at = [...path, "address"];
    for (const other of earlier) {
      if (!overlap(address, other.address)) continue;
      const found = findings.show(at, text);
      findings.error(at, `${other.name} has that port already; expected another, found ${found}`);
    }
    earlier.push({ name: formatPath(path), address });
  }
}

/** True where the second of the two could not be bound. */
export function overlap(a: Address, b: Address): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  return a.host.toLowerCase() === b.host.toLowerCase() || isEvery(a.host) || isEvery(b.host);
}

/** A host that means all interfaces of the machine. */
function isEvery(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}
