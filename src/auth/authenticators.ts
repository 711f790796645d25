import type { UpstreamConfig } from "../upstream/config.js";
import { apiKeyProvider } from "./api-key-provider.js";
import type { AuthNames, AuthSections, ProviderConfig } from "./auth-schema.js";
import type { AuthDependencies } from "./dependencies.js";
import type { Authenticator } from "./identity.js";
import { jwtProvider } from "./jwt-provider.js";
import { mtlsProvider } from "./mtls-provider.js";
import type { Provider } from "./provider.js";
import { providerChain } from "./provider-chain.js";
import { rpcProvider } from "./rpc-provider.js";

/** The providers of one loaded configuration, ready to be asked. */
export interface Authenticators {
  /** Asks the providers in order; the same object for the same names. Undefined for `none`. */
  authenticatorOf(names: AuthNames): Authenticator | undefined;
  /** Whether backends are told of callers by metadata of this name, which clients must not say themselves then. */
  tells(name: string): boolean;
  /** Stops refreshes and watchers. Requests under way are still answered from what is known. */
  close(): void;
}

/**
 * Makes the providers of `auth.providers` and begins to fetch their keys.
 * @throws Error where a file or a method cannot be used; `checkProviders` says where, so call that before
 */
export function createAuthenticators(config: AuthSections, dependencies: AuthDependencies): Authenticators {
  const providers = new Map<string, Provider>();
  const close = (): void => {
    for (const provider of providers.values()) provider.close();
  };
  try {
    for (const [name, provider] of Object.entries(config.auth.providers)) {
      providers.set(name, createProvider(name, provider, config, dependencies));
    }
  } catch (error) {
    close();
    throw error;
  }
  const chains = new Map<string, Authenticator>();
  const claimed = new Set(
    Object.values(config.auth.providers).flatMap(provider =>
      "claims_to_metadata" in provider ? Object.values(provider.claims_to_metadata) : [],
    ),
  );
  const others = [...providers.values()].filter(({ metadataNames }) => metadataNames !== undefined);
  return {
    authenticatorOf: names => {
      if (names === "none") return undefined;
      const key = names.join("\n");
      let chain = chains.get(key);
      if (chain === undefined) {
        // Loading has checked that they exist.
        const asked = names.map(name => providers.get(name) as Provider);
        chain = providerChain(asked, event => dependencies.log(event));
        chains.set(key, chain);
      }
      return chain;
    },
    tells: name => claimed.has(name) || others.some(({ metadataNames }) => metadataNames?.has(name)),
    close,
  };
}

function createProvider(
  name: string,
  provider: ProviderConfig,
  config: AuthSections,
  dependencies: AuthDependencies,
): Provider {
  switch (provider.type) {
    case "jwt":
      return jwtProvider(name, provider, dependencies);
    case "api_key":
      return apiKeyProvider(name, provider, dependencies.passedHeaders, dependencies);
    case "rpc": {
      const upstream = config.upstreams[provider.upstream] as UpstreamConfig;
      return rpcProvider(name, provider, provider.timeout ?? upstream.timeout, dependencies);
    }
    case "mtls":
      return mtlsProvider(name, provider, dependencies);
  }
}
