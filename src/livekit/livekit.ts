import type { AdminRoute } from "../bindings/admin-route.js";
import type { LocalHandler } from "../bindings/built-in-route.js";
import type { Diagnostic } from "../config/diagnostic.js";
import { adminRoutes } from "./admin.js";
import type { LiveKitConfig, LiveKitSections } from "./config.js";
import type { LiveKitDeps, LiveKitParts } from "./parts.js";
import { LiveKitProblems } from "./parts.js";
import { tokenEndpoint } from "./token-route.js";
import { webhookEndpoint } from "./webhook.js";

/** What the section `livekit` of a configuration is compiled to. Nothing of it connects before it is needed. */
export interface LiveKit {
  /** Token routes and webhook, for the router of the HTTP listener. */
  readonly endpoints: readonly LocalHandler[];
  /** For the admin listener. */
  readonly adminRoutes: readonly AdminRoute[];
  /** Errors (with any of them nothing else here is to be used) and warnings. */
  readonly diagnostics: readonly Diagnostic[];
}

/** LiveKit asks for secrets of at least so many characters, RFC 7518 §3.2 for HS256 of so many bytes. */
const minSecretBytes = 32;

/** @param livekit the section of the same configuration */
export function createLiveKit(config: LiveKitSections, livekit: LiveKitConfig, deps: LiveKitDeps): LiveKit {
  const problems = new LiveKitProblems(deps.locate);
  const parts: LiveKitParts = { config, livekit, deps, problems };
  if (Buffer.byteLength(livekit.api_secret) < minSecretBytes) {
    const message = `the secret is shorter than ${minSecretBytes} characters; it can be guessed from any token`;
    problems.warning(["livekit", "api_secret"], message);
  }
  const endpoints = livekit.routes.map((route, index) => tokenEndpoint(route, index, parts));
  if (livekit.webhook !== undefined) endpoints.push(webhookEndpoint(livekit.webhook, parts));
  return { endpoints, adminRoutes: adminRoutes(parts), diagnostics: problems.diagnostics };
}
