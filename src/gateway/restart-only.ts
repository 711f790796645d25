import { isDeepStrictEqual } from "node:util";
import type { Config } from "../config/schema.js";

/** What a reload does not change, by its path in the configuration. */
const fixed: Readonly<Record<string, (config: Config) => unknown>> = {
  "listeners.http": ({ listeners }) => listeners.http,
  "listeners.realtime": ({ listeners }) => listeners.realtime,
  "listeners.admin": ({ listeners }) => listeners.admin,
  "http.limits.header": ({ http }) => http.limits.header,
  "http.limits.request_timeout": ({ http }) => http.limits.request_timeout,
  telemetry: ({ telemetry }) => telemetry,
};

/** What of a configuration holds only after a restart. @param started the one that the process started with */
export function restartOnly(started: Config, loaded: Config): string[] {
  return Object.entries(fixed).flatMap(([path, of]) =>
    isDeepStrictEqual(of(started), of(loaded)) ? [] : [path],
  );
}
