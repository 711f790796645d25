import type { Diagnostic, FilePosition, Path } from "../config/diagnostic.js";
import { formatPath } from "../config/diagnostic.js";
import type { AuthNames, AuthSections } from "./config.js";
import type { Authenticator } from "./identity.js";
import type { AuthDependencies, Provider, ProviderInspection } from "./provider.js";
import { providerChain } from "./provider-chain.js";
import { providerType } from "./providers/providers.js";

/** The providers of one loaded configuration, ready for use. */
export interface Authenticators {
  /** Tries the providers in order; the same object for the same names. Undefined for `none`. */
  authenticatorOf(names: AuthNames): Authenticator | undefined;
  /** By the name of the configuration. @throws Error where there is none */
  provider(name: string): Provider;
  /** Whether metadata of this name carries the identity to backends; clients must not send it themselves then. */
  isIdentityMetadata(name: string): boolean;
  /** Stops refreshes and watchers. Requests under way still use the cached data. */
  close(): void;
}

/**
 * Makes the providers of `auth.providers` and begins to fetch their keys.
 * @throws Error where a file or a method cannot be used; call `checkProviders` before, which reports the position
 */
export function createAuthenticators(config: AuthSections, dependencies: AuthDependencies): Authenticators {
  const providers = new Map<string, Provider>();
  const context = { ...dependencies, upstreams: config.upstreams };
  const close = (): void => {
    for (const provider of providers.values()) provider.close();
  };
  try {
    for (const [name, provider] of Object.entries(config.auth.providers)) {
      providers.set(name, providerType(provider.type).create(name, provider, context));
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
        const chained = names.map(name => providers.get(name) as Provider);
        chain = providerChain(chained, event => dependencies.log(event));
        chains.set(key, chain);
      }
      return chain;
    },
    provider: name => {
      const provider = providers.get(name);
      if (provider === undefined) throw new Error(`there is no provider "${name}"`);
      return provider;
    },
    isIdentityMetadata: name =>
      claimed.has(name) || others.some(({ metadataNames }) => metadataNames?.has(name)),
    close,
  };
}

/**
 * Checks the files of providers, and the methods that they call: errors, each with its position. Does not use
 * the network.
 */
export function checkProviders(
  { auth }: Pick<AuthSections, "auth">,
  context: Pick<ProviderInspection, "model" | "passedHeaders">,
  locate: (path: Path) => FilePosition,
): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  for (const [name, provider] of Object.entries(auth.providers)) {
    const report: ProviderInspection["report"] = (severity, key, message, suggestion) => {
      const path = ["auth", "providers", name, key];
      const position = locate(path);
      const hint = suggestion !== undefined && { suggestion };
      diagnostics.push({ severity, message, position, path: formatPath(path), ...hint });
    };
    const add = (found: readonly Diagnostic[]): void => void diagnostics.push(...found);
    providerType(provider.type).inspect?.(provider, { ...context, name, report, add });
  }
  return diagnostics;
}
