import type { AdminServer } from "../admin/server.js";
import type { LocalHandler } from "../bindings/built-in-route.js";
import type { ConfigInput } from "../config/compose.js";
import type { Logger } from "../telemetry/logger.js";
import type { ProcessChannel } from "../workers/channel.js";
import type { AdminView } from "./admin-listener.js";
import type { Environment, UsableConfig } from "./read-config.js";
import type { SocketEngine } from "./realtime-listener.js";
import type { ReloadReport, ReloadTrigger } from "./reload/reload-status.js";

/** A gateway that listens. */
export interface Gateway {
  /** Of the first HTTP listener. */
  readonly httpPort: number;
  /** Of all HTTP listeners by name. */
  readonly httpPorts: Readonly<Record<string, number>>;
  /** 0 without `listeners.realtime`. */
  readonly realtimePort: number;
  readonly adminPort: number;
  /** Loads the configuration again; its errors are logged and the old one stays. Never rejects. */
  reload(trigger?: ReloadTrigger): Promise<ReloadReport>;
  /** Fails readiness, stops accepting, lets requests under way finish within `server.drain`, then ends them. */
  close(lingerMs?: number): Promise<void>;
}

export interface GatewayOptions {
  /** The values of `${NAME}` in the configuration; default the process's own environment. */
  readonly env?: Environment;
  /** Where log lines go; default standard output. */
  readonly logTo?: { write(line: string): void };
  /** Routes of the HTTP listener beside the configuration. */
  readonly endpoints?: readonly LocalHandler[];
  /** The engine of the realtime listener; default uws, where its addon can be loaded. */
  readonly socketEngine?: SocketEngine;
  /** Of one of several workers. */
  readonly part?: WorkerPart;
  /** The configuration of the file, where it is read already. */
  readonly loaded?: UsableConfig;
}

/** The services of the primary for a gateway that is one of several workers. */
export interface WorkerPart {
  readonly worker: number;
  /** To the primary, for features that workers share. */
  readonly channel: ProcessChannel;
  /** Serves operators instead of a listener of its own. */
  serveOperators(view: AdminView): Promise<AdminServer>;
  /** Takes events that concern all workers alike, instead of the log. */
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  /** Reads the configuration for a reload. */
  read(input: ConfigInput, environment: Environment): UsableConfig;
  /** Resolves when all workers can take a configuration; rejects where one cannot. */
  agree(loaded: UsableConfig): Promise<void>;
}
