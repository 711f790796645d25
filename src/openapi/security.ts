import type { AuthNames, ProvidersConfig } from "../auth/config.js";
import type { SecurityScheme } from "../auth/provider.js";
import { providerType } from "../auth/providers/providers.js";

/** The security schemes that the providers of a configuration come to. */
export class Security {
  /** By name under `components/securitySchemes`: of those that operations refer to. */
  readonly components = new Map<string, SecurityScheme>();
  readonly #providers: ProvidersConfig;

  constructor(providers: ProvidersConfig) {
    this.#providers = providers;
  }

  /** Alternatives, of which one must be met; none where no authentication is required. */
  requirements(names: AuthNames): readonly Readonly<Record<string, readonly string[]>>[] {
    if (names === "none") return [];
    return names.flatMap(name => {
      const provider = this.#providers[name];
      if (provider === undefined) return [];
      return providerType(provider.type)
        .describe(provider)
        .map((scheme, index) => {
          // A provider's name may have what a component's may not, but only `.` and `-`, which both have.
          const component = index === 0 ? name : `${name}-${index + 1}`;
          this.components.set(component, scheme);
          return { [component]: [] };
        });
    });
  }
}
