import type { Snapshot } from "../bindings/snapshot.js";
import type { Config, CorsConfig, RealtimeConfig } from "../config/schema.js";
import type { Pace } from "../net/pace.js";
import type { Compiled } from "./compile.js";
import type { Runtime } from "./runtime.js";
import { createSnapshot, type SnapshotParts } from "./snapshot.js";

/**
 * What the listener of the sockets answers beside them: the rooms' REST API under the same limits, providers and
 * policies as on the HTTP listener. Pages that may open sockets may read the answers.
 */
export function realtimeSnapshot(
  compiled: Compiled,
  section: RealtimeConfig,
  parts: SnapshotParts,
  runtime: Runtime,
  pace: Pace,
): Promise<Snapshot> {
  const { config } = compiled.loaded;
  const http = { ...config.http, errors: "chat-api" as const, cors: corsOf(config, section) };
  const loaded = { ...compiled.loaded, config: { ...config, http } as Config };
  return createSnapshot({ ...compiled, loaded, routes: [], own: compiled.realtimeOwn }, parts, runtime, pace);
}

function corsOf({ http }: Config, { origins }: RealtimeConfig): CorsConfig | undefined {
  if (origins.length === 0) return undefined;
  return {
    allow_headers: ["authorization", "content-type", "x-request-id"],
    expose_headers: ["ratelimit", "ratelimit-policy", "retry-after", "x-request-id"],
    max_age: 600_000,
    ...http.cors,
    origins: [...origins],
    // Cookies count from listed origins alone.
    credentials: !origins.includes("*"),
  };
}
