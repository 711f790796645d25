import type { AuthNames } from "../auth/config.js";
import type { JsonPolicy } from "../codec/codec.js";
import type { QueryPolicy } from "../codec/json-to-wire/request.js";
import type { Model } from "../descriptors/model.js";
import type { Dialect } from "../dialects/dialect.js";
import { dialects } from "../dialects/dialects.js";
import { type StatusOfCode, serverError } from "../status/failure.js";
import type { UpstreamConfig } from "../upstream/config.js";
import { type ForwardedName, forwardedNames } from "./forwarded-name.js";
import { methodPolicy } from "./method-policy.js";
import type { BindingSections, ProtocolName, ServiceConfig } from "./service-config.js";
import { ListedCodes } from "./status-codes.js";
import { type StreamPolicy, streamPolicy } from "./stream-config.js";
import { wrapperTypes } from "./wrappers.js";

/** What the configuration says of one method, in the form in which requests use it. */
export interface RoutePolicy {
  /** Milliseconds; infinite for none. */
  readonly timeout: number;
  /** Milliseconds that a stream may live; undefined: as long as client and backend keep it. */
  readonly streamTimeout: number | undefined;
  readonly stream: StreamPolicy;
  readonly json: JsonPolicy;
  readonly dialect: Dialect;
  readonly emptyStatus: 200 | 204;
  /** Whether a body is read as JSON whatever its content type says. */
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
