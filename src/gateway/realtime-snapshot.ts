import { ownRoute } from "../bindings/own-route.js";
import type { Snapshot } from "../bindings/snapshot.js";
import type { Config, CorsConfig, RealtimeConfig } from "../config/schema.js";
import type { Realtime } from "../realtime/realtime.js";
import { restEndpoints } from "../realtime/rest.js";
import type { Compiled } from "./compile.js";
import { restOptions, socketEndpoint } from "./realtime-settings.js";
import { type Runtime, roomsOf } from "./runtime.js";
import { createSnapshot, type SnapshotParts } from "./snapshot.js";

/**
 * What the listener of the sockets answers beside them: the REST twin without its prefix, under the same limits,
 * providers and policies as on the HTTP listener. Pages that may open sockets may read the answers.
 */
export function realtimeSnapshot(
  compiled: Compiled,
  section: RealtimeConfig,
  realtime: Realtime,
  parts: SnapshotParts,
  runtime: Runtime,
): Snapshot {
  const { config } = compiled.loaded;
  const authorizers = new Map(compiled.authorizers);
  const own = restEndpoints(() => realtime, { ...restOptions(config, section), prefix: "" }).map(endpoint => {
    const route = ownRoute(endpoint);
    const twin = compiled.own.find(
      ({ method, template }) =>
        method === endpoint.method && template.text === section.rest + endpoint.template,
    );
    const authorizer = twin && compiled.authorizers.get(twin);
    if (authorizer !== undefined) authorizers.set(route, authorizer);
    return route;
  });
  const path = socketEndpoint(config, section, () => roomsOf(runtime));
  if (!own.some(({ template }) => template.text === path.template)) own.push(ownRoute(path));
  const http = { ...config.http, errors: "chat-api" as const, cors: corsOf(config, section) };
  const loaded = { ...compiled.loaded, config: { ...config, http } as Config };
  return createSnapshot({ ...compiled, loaded, routes: [], own, authorizers }, parts, runtime);
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
