import type { AuthNames } from "../config/auth-schema.js";
import { methodPolicy } from "../config/method-policy.js";
import type { Config, ServiceConfig, UpstreamConfig } from "../config/schema.js";
import type { Model } from "../descriptors/model.js";
import type { ErrorProfile } from "../status/profiles.js";
import type { JsonPolicy } from "../transcode/codec.js";
import type { QueryPolicy } from "../transcode/request.js";
import { type ForwardedName, forwardedNames } from "./forwarded-name.js";
import { openimNames } from "./openim.js";
import { wrapperTypes } from "./wrappers.js";

/** What the configuration says of one method, in the form in which requests use it. */
export interface RoutePolicy {
  /** Milliseconds. */
  readonly timeout: number;
  readonly json: JsonPolicy;
  readonly errors: ErrorProfile;
  readonly emptyStatus: 200 | 204;
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
  config: Config,
  service: ServiceConfig,
  methodName: string,
  model: Model,
): RoutePolicy {
  // Loading has checked that the upstream exists.
  const upstream = config.upstreams[service.upstream] as UpstreamConfig;
  const policy = methodPolicy(config, service, upstream, methodName);
  const { json, errors } = policy;
  const requestNames = forwardedNames(policy.metadata.request);
  return {
    timeout: policy.timeout,
    json: {
      enums: json.enums,
      int64: json.int64,
      emitDefaults: json.emit_defaults,
      names: json.names,
      unknownFields: json.unknown_fields,
      depth: config.http.limits.depth,
      wrappers: wrapperTypes(json.wrappers, errors, model),
    },
    errors,
    emptyStatus: policy.empty_response,
    requestNames:
      errors === "openim" ? requestNames.filter(({ name }) => !openimNames.has(name)) : requestNames,
    responseNames: forwardedNames(policy.metadata.response),
    query: { unknown: policy.query.unknown, ignore: new Set(policy.query.ignore) },
    bodyLimit: policy.limits.body,
    validate: policy.validate,
    auth: policy.auth,
    rateLimits: policy.rate_limits,
  };
}
