import type { Position } from "../config/diagnostic.js";
import type { Path } from "../config/path.js";
import type { Config, LiveKitConfig } from "../config/schema.js";
import type { Model } from "../descriptors/model.js";
import type { Channel } from "../upstream/channel.js";
import type { LiveKitMetrics } from "./metrics.js";
import type { Problems } from "./problems.js";
import type { Removals } from "./removals.js";

/** A message for the members of a realtime room. */
export interface RoomMessage {
  readonly from: string;
  readonly message: string;
}

/** What the gateway gives to LiveKit's part of it. */
export interface LiveKitDeps {
  readonly model: Model;
  /** The channel of an upstream of the configuration; asked when a call is made. */
  channel(upstream: string): Channel;
  readonly metrics: LiveKitMetrics;
  readonly removals: Removals;
  /** Undefined without realtime rooms. */
  readonly publish: ((room: string, message: RoomMessage) => void | Promise<void>) | undefined;
  log(level: "info" | "warn", fields: Readonly<Record<string, unknown>>, message: string): void;
  /** Where a node of the configuration stands. */
  locate(path: Path): Position;
}

/** What every part of this module is compiled from. */
export interface LiveKitParts {
  readonly config: Config;
  readonly livekit: LiveKitConfig;
  readonly deps: LiveKitDeps;
  readonly problems: Problems;
}
