import { type AuthNames, authNames } from "../auth/config.js";
import type { JsonPolicy } from "../codec/codec.js";
import type { QueryPolicy } from "../codec/json-to-wire/query-plan.js";
import type { Model } from "../descriptors/model.js";
import type { Dialect } from "../dialects/dialect.js";
import { dialects } from "../dialects/dialects.js";
import { limitNames } from "../limits/config.js";
import { type StatusOfCode, serverError } from "../status/failure.js";
import type { UpstreamConfig } from "../upstream/config.js";
import { type ForwardedName, forwardedNames } from "./forwarded-name.js";
import type {
  BindingSections,
  ProtocolName,
  QueryConfig,
  ServiceConfig,
  ServiceDefaults,
} from "./service-config.js";
import { ListedCodes } from "./status-codes.js";
import { type StreamPolicy, streamPolicy } from "./stream-config.js";
import { wrapperTypes } from "./wrappers.js";

/** The configuration of one method, in the form in which requests use it. */
export interface RoutePolicy {
  /** Milliseconds; infinite for none. */
  readonly timeout: number;
  /** Most milliseconds of a stream; undefined: as long as client and backend keep it open. */
  readonly streamTimeout: number | undefined;
  readonly stream: StreamPolicy;
  readonly json: JsonPolicy;
  readonly dialect: Dialect;
  readonly emptyStatus: 200 | 204;
  /** Whether a body is read as JSON with any content type. */
  readonly anyContentType: boolean;
  /** The HTTP status of a code of the backend's own, above those that gRPC defines. */
  readonly statusOf: StatusOfCode;
  /** The label of a code of a backend whose codes are not gRPC's: the entry of the configuration that lists it. */
  readonly labelOf: (code: number) => string;
  /** Lower-case name of the response metadata that chooses the status of a success. */
  readonly successStatus: string | undefined;
  /** Undefined where the configuration names none. */
  readonly protocols: readonly ProtocolName[] | undefined;
  readonly requestNames: readonly ForwardedName[];
  readonly responseNames: readonly ForwardedName[];
  readonly query: QueryPolicy;
  /** Bytes of a request body. */
  readonly bodyLimit: number;
  /** Whether the rules of the request's messages are enforced. */
  readonly validate: boolean;
  /** Providers of which one must accept. */
  readonly auth: AuthNames;
  /** Names of the limits that hold. */
  readonly rateLimits: readonly string[];
}

export function routePolicy(
  config: BindingSections,
  service: ServiceConfig,
  methodName: string,
  model: Model,
): RoutePolicy {
  // Loading has checked that the upstream exists.
  const upstream = config.upstreams[service.upstream] as UpstreamConfig;
  const policy = methodPolicy(config, service, upstream, methodName);
  const { json } = policy;
  const dialect: Dialect = dialects[policy.errors];
  const codes = new ListedCodes(policy.status_codes);
  const otherwise = dialect.statusOfCode ?? serverError;
  const ownNames = dialect.callerMetadata?.names;
  const requestNames = forwardedNames(policy.metadata.request, ownNames);
  return {
    timeout: policy.timeout === 0 ? Number.POSITIVE_INFINITY : policy.timeout,
    streamTimeout: policy.stream_timeout === 0 ? undefined : policy.stream_timeout,
    stream: streamPolicy(policy.stream, policy.sse),
    json: {
      enums: json.enums,
      int64: json.int64,
      emitDefaults: json.emit_defaults,
      names: json.names,
      unknownFields: json.unknown_fields,
      depth: config.http.limits.depth,
      wrappers: wrapperTypes(json.wrappers, dialect, model),
    },
    dialect,
    emptyStatus: policy.empty_response,
    anyContentType: policy.content_types === "any",
    statusOf: code => codes.statusOf(code) ?? otherwise(code),
    labelOf: code => codes.labelOf(code),
    successStatus: policy.success_status,
    protocols: policy.protocols,
    requestNames:
      ownNames === undefined ? requestNames : requestNames.filter(({ name }) => !ownNames.has(name)),
    responseNames: forwardedNames(policy.metadata.response),
    query: { unknown: policy.query.unknown, ignore: new Set(policy.query.ignore) },
    bodyLimit: policy.limits.body,
    validate: policy.validate,
    auth: policy.auth,
    rateLimits: policy.rate_limits,
  };
}

/** The options of one method after merging its own keys, its service's and `service_defaults`. */
export interface MethodPolicy {
  readonly json: ServiceDefaults["json"];
  readonly content_types: ServiceDefaults["content_types"];
  /** HTTP statuses by code or range of codes; earlier entries win. */
  readonly status_codes: readonly Readonly<Record<string, number>>[];
  /** Name of the response metadata that chooses the status of a success. */
  readonly success_status: string | undefined;
  /** Undefined where none are named. */
  readonly protocols: readonly ProtocolName[] | undefined;
  readonly errors: ServiceDefaults["errors"];
  readonly empty_response: ServiceDefaults["empty_response"];
  /** Milliseconds. */
  readonly timeout: number;
  /** Most milliseconds of a stream: only by the method's own key, since other timeouts are for single responses. */
  readonly stream_timeout: number | undefined;
  readonly stream: ServiceDefaults["stream"];
  readonly sse: ServiceDefaults["sse"];
  readonly metadata: ServiceDefaults["metadata"];
  readonly query: QueryConfig;
  readonly limits: { readonly body: number };
  readonly validate: boolean;
  /** Names of providers, one of which must accept. */
  readonly auth: AuthNames;
  /** Names under `rate_limits`; all must admit. */
  readonly rate_limits: readonly string[];
}

/** The policy of `service`'s method `name` (without the service), whether or not the method has keys of its own. */
export function methodPolicy(
  config: BindingSections,
  service: ServiceConfig,
  upstream: UpstreamConfig,
  name: string,
): MethodPolicy {
  const defaults = config.service_defaults;
  const own = service.methods[name];
  const levels = [own ?? {}, service, defaults];
  const auth = authNames(own?.auth ?? service.auth ?? defaults.auth ?? config.auth.default);
  const query = { ...config.http.query, ...defaults.query, ...service.query, ...own?.query };
  const body = levels.map(level => level.limits?.body).find(each => each !== undefined);
  return {
    json: { ...defaults.json, ...service.json, ...own?.json },
    content_types: own?.content_types ?? service.content_types ?? defaults.content_types,
    status_codes: levels.map(level => level.status_codes ?? {}),
    success_status: own?.success_status ?? service.success_status ?? defaults.success_status,
    protocols: own?.protocols ?? service.protocols ?? defaults.protocols,
    errors: own?.errors ?? service.errors ?? defaults.errors,
    empty_response: own?.empty_response ?? service.empty_response ?? defaults.empty_response,
    timeout: own?.timeout ?? service.timeout ?? defaults.timeout ?? upstream.timeout,
    stream_timeout: own?.timeout,
    stream: own?.stream ?? service.stream ?? defaults.stream,
    sse: { ...defaults.sse, ...service.sse, ...own?.sse },
    metadata: { ...defaults.metadata, ...service.metadata, ...own?.metadata },
    query: { ...query, ignore: [...query.ignore, ...credentialParameters(config, auth)] },
    limits: { body: body ?? config.http.limits.body },
    validate: own?.validate ?? service.validate ?? defaults.validate,
    auth,
    rate_limits: limitNames(own?.rate_limit ?? service.rate_limit ?? defaults.rate_limit),
  };
}

/** Query parameters that carry credentials; they are no fields of the request. */
function credentialParameters({ auth: { providers } }: BindingSections, auth: AuthNames): string[] {
  if (auth === "none") return [];
  return auth.flatMap(name => {
    const provider = providers[name];
    return provider !== undefined && "query" in provider && provider.query !== undefined
      ? [provider.query]
      : [];
  });
}
