import Type, { type Static } from "typebox";
import { AuthSchema } from "./auth-schema.js";
import { HttpSchema } from "./http-schema.js";
import { choice, duration, mapping, section, text } from "./kind.js";
import { ListenersSchema } from "./listener-schema.js";
import { LiveKitSchema } from "./livekit-schema.js";
import { RateLimitsSchema } from "./rate-limit-schema.js";
import { RealtimeSchema } from "./realtime-schema.js";
import { ServiceDefaultsSchema, ServiceSchema } from "./service-schema.js";
import { UpstreamSchema } from "./upstream-schema.js";

const DescriptorsSchema = Type.Union(
  [
    mapping(
      {
        protos: text("path", {
          description: "A folder of .proto files, or one .proto file; imports resolve in the folder first.",
        }),
        include: Type.Array(text("path", { description: "A folder." }), {
          default: [],
          description: "Further folders that imports resolve in, before the bundled ones.",
        }),
        exclude: Type.Array(
          text("nonempty", { description: "A glob, such as preview/** or *_test.proto." }),
          {
            default: [],
            description:
              "Files of the folder that are not loaded unless others import them, relative to the folder.",
          },
        ),
      },
      "A folder of .proto files, or one file with what it imports, parsed when the gateway starts.",
    ),
    mapping(
      { set: text("path", { description: "A file from `protoc --descriptor_set_out` or `buf build`." }) },
      "A compiled FileDescriptorSet.",
    ),
    mapping(
      {
        reflection: text("nonempty", { description: "Name of the upstream to ask." }),
        refresh: Type.Optional(duration({ description: "Ask again this often. Without it, once." }, 1000)),
      },
      "What an upstream's gRPC server reflection tells (v1 or v1alpha).",
    ),
  ],
  { description: "Where message and service definitions come from: one of protos, set and reflection." },
);

const TelemetrySchema = section(
  {
    log: section(
      {
        level: choice(["trace", "debug", "info", "warn", "error", "fatal", "silent"], {
          description: "The least level that is logged.",
          default: "info",
        }),
      },
      "The log, JSON lines on standard output.",
    ),
    metrics: section(
      {
        buckets: Type.Array(Type.Number({ minimum: 0 }), {
          minItems: 1,
          maxItems: 100,
          default: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
          description: "Upper bounds of the duration histograms, seconds, ascending.",
        }),
      },
      "The metrics on the admin listener.",
    ),
  },
  "What the gateway tells about itself.",
);

/** Every key of the configuration file: types, defaults, bounds and the text that editors show. */
export const ConfigSchema = mapping(
  {
    listeners: ListenersSchema,
    descriptors: Type.Array(DescriptorsSchema, {
      default: [],
      description: "Sources of definitions, merged into one model; a conflict between two is an error.",
    }),
    upstreams: Type.Record(Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$" }), UpstreamSchema, {
      default: {},
      propertyNames: {
        description: "letters, digits, _, - and ., a letter or digit first, at most 63 characters",
      },
      description: "The backends, by the name that the rest of the file and the metrics know them by.",
    }),
    services: Type.Array(ServiceSchema, {
      default: [],
      description: "Which RPC services are exposed, through which upstream, and how.",
    }),
    service_defaults: ServiceDefaultsSchema,
    http: HttpSchema,
    auth: AuthSchema,
    rate_limits: RateLimitsSchema,
    realtime: Type.Optional(RealtimeSchema),
    livekit: Type.Optional(LiveKitSchema),
    telemetry: TelemetrySchema,
    server: section(
      {
        workers: Type.Integer({ minimum: 1, default: 1, description: "Processes that share the listeners." }),
        drain: duration(
          { description: "How long requests under way may take to finish at shutdown.", default: "30s" },
          0,
        ),
      },
      "The process.",
    ),
  },
  "Configuration of the Protogate API gateway.",
);

type Immutable<T> = T extends object ? { readonly [K in keyof T]: Immutable<T[K]> } : T;

/**
 * The loaded configuration: names as in YAML, every default filled in, durations in milliseconds, sizes in
 * bytes, paths absolute, header names in lower case. Records (`upstreams`, `methods`) have no prototype.
 */
export type Config = Immutable<Static<typeof ConfigSchema>>;

export type ListenersConfig = Config["listeners"];
export type HttpListenerConfig = ListenersConfig["http"];
export type UpstreamConfig = Config["upstreams"][string];
export type UpstreamTlsConfig = NonNullable<UpstreamConfig["tls"]>;
export type RetryConfig = NonNullable<UpstreamConfig["retry"]>;
export type ServiceConfig = Config["services"][number];
export type MethodConfig = ServiceConfig["methods"][string];
export type ServiceDefaults = Config["service_defaults"];
export type JsonConfig = ServiceDefaults["json"];
export type MetadataConfig = ServiceDefaults["metadata"];
export type HttpConfig = Config["http"];
export type RuleConfig = HttpConfig["rules"][number];
/** A rule's further route: the rule without selector and additional_bindings. */
export type RouteConfig = RuleConfig["additional_bindings"][number];
export type QueryConfig = HttpConfig["query"];
export type PolicyConfig = Config["auth"]["policies"][number];
export type RateLimitConfig = Config["rate_limits"][string];
export type CorsConfig = NonNullable<HttpConfig["cors"]>;
export type RealtimeConfig = NonNullable<Config["realtime"]>;
export type LiveKitConfig = NonNullable<Config["livekit"]>;
export type LiveKitRouteConfig = LiveKitConfig["routes"][number];
export type LiveKitWebhookConfig = NonNullable<LiveKitConfig["webhook"]>;
export type AuthConfig = Config["auth"];
export type ProviderConfig = AuthConfig["providers"][string];
export type JwtConfig = Extract<ProviderConfig, { type: "jwt" }>;
export type ApiKeyConfig = Extract<ProviderConfig, { type: "api_key" }>;
export type RpcAuthConfig = Extract<ProviderConfig, { type: "rpc" }>;
export type MtlsConfig = Extract<ProviderConfig, { type: "mtls" }>;
