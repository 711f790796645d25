import { type AuthNames, authNames } from "./auth-schema.js";
import { limitNames } from "./rate-limit-schema.js";
import type {
  Config,
  JsonConfig,
  MetadataConfig,
  QueryConfig,
  ServiceConfig,
  UpstreamConfig,
} from "./schema.js";

/** What holds for one method when its own keys, its service's and the defaults are laid over each other. */
export interface MethodPolicy {
  readonly json: JsonConfig;
  readonly errors: ServiceConfig["errors"];
  readonly empty_response: ServiceConfig["empty_response"];
  /** Milliseconds. */
  readonly timeout: number;
  readonly metadata: MetadataConfig;
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
  config: Config,
  service: ServiceConfig,
  upstream: UpstreamConfig,
  name: string,
): MethodPolicy {
  const own = service.methods[name];
  const auth = authNames(own?.auth ?? service.auth ?? config.auth.default);
  const query = { ...config.http.query, ...service.query, ...own?.query };
  return {
    json: { ...service.json, ...own?.json },
    errors: own?.errors ?? service.errors,
    empty_response: own?.empty_response ?? service.empty_response,
    timeout: own?.timeout ?? service.timeout ?? upstream.timeout,
    metadata: { ...service.metadata, ...own?.metadata },
    query: { ...query, ignore: [...query.ignore, ...credentialParameters(config, auth)] },
    limits: { body: own?.limits?.body ?? service.limits?.body ?? config.http.limits.body },
    validate: own?.validate ?? service.validate,
    auth,
    rate_limits: limitNames(own?.rate_limit ?? service.rate_limit),
  };
}

/** Query parameters that carry credentials; they are no fields of the request. */
function credentialParameters({ auth: { providers } }: Config, auth: AuthNames): string[] {
  if (auth === "none") return [];
  return auth.flatMap(name => {
    const provider = providers[name];
    return provider !== undefined && "query" in provider && provider.query !== undefined
      ? [provider.query]
      : [];
  });
}
