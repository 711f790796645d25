import type { AdminRoute } from "../bindings/admin-route.js";
import type { LocalHandler } from "../bindings/built-in-route.js";
import type { Diagnostic, Path } from "../config/diagnostic.js";
import { actionEndpoint } from "./actions.js";
import { adminRoutes } from "./admin.js";
import type { LiveKitConfig, LiveKitProject, LiveKitSections } from "./config.js";
import type { LiveKitDeps, LiveKitParts } from "./parts.js";
import { LiveKitProblems } from "./parts.js";
import { tokenEndpoint } from "./token-route.js";
import { webhookEndpoint } from "./webhook.js";

/** The compiled section `livekit` of a configuration. It connects at the first use. */
export interface LiveKit {
  /** Token routes, actions and webhook, for the router of the HTTP listener. */
  readonly endpoints: readonly LocalHandler[];
  /** For the admin listener. */
  readonly adminRoutes: readonly AdminRoute[];
  /** Errors (with any of them nothing else here is to be used) and warnings. */
  readonly diagnostics: readonly Diagnostic[];
}

/** LiveKit requires secrets of at least so many characters, RFC 7518 §3.2 for HS256 of so many bytes. */
const minSecretBytes = 32;

/** @param livekit the section of the same configuration */
export function createLiveKit(config: LiveKitSections, livekit: LiveKitConfig, deps: LiveKitDeps): LiveKit {
  const problems = new LiveKitProblems(deps.locate);
  const parts: LiveKitParts = { config, livekit, deps, problems };
  warnOfShortSecret(livekit, ["livekit"], problems);
  for (const [name, project] of Object.entries(livekit.projects))
    warnOfShortSecret(project, ["livekit", "projects", name], problems);
  const endpoints = [
    ...livekit.routes.map((route, index) => tokenEndpoint(route, index, parts)),
    ...livekit.actions.map((action, index) => actionEndpoint(action, index, parts)),
  ];
  if (livekit.webhook !== undefined) endpoints.push(webhookEndpoint(livekit.webhook, parts));
  return { endpoints, adminRoutes: adminRoutes(parts), diagnostics: problems.diagnostics };
}

function warnOfShortSecret({ api_secret }: LiveKitProject, at: Path, problems: LiveKitProblems): void {
  if (Buffer.byteLength(api_secret) >= minSecretBytes) return;
  const message = `the secret is shorter than ${minSecretBytes} characters; it can be guessed from any token`;
  problems.warning([...at, "api_secret"], message);
}
