import { type AuthNames, authNames } from "../auth/config.js";
import { limitNames } from "../limits/config.js";
import type { UpstreamConfig } from "../upstream/config.js";
import type {
  BindingSections,
  ProtocolName,
  QueryConfig,
  ServiceConfig,
  ServiceDefaults,
} from "./service-config.js";

/** What holds for one method when its own keys, its service's and `service_defaults` are laid over each other. */
export interface MethodPolicy {
  readonly json: ServiceDefaults["json"];
  readonly content_types: ServiceDefaults["content_types"];
  /** HTTP statuses by code or range of codes; what an earlier entry says counts. */
  readonly status_codes: readonly Readonly<Record<string, number>>[];
  /** Name of the response metadata that chooses the status of a success. */
  readonly success_status: string | undefined;
  /** Undefined where none are named. */
  readonly protocols: readonly ProtocolName[] | undefined;
  readonly errors: ServiceDefaults["errors"];
  readonly empty_response: ServiceDefaults["empty_response"];
  /** Milliseconds. */
  readonly timeout: number;
  /** Milliseconds that a stream may live: only what the method itself says, since other timeouts are meant for single responses. */
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
