import type { Diagnostic, FilePosition } from "../config/diagnostic.js";
import { formatPath, type Path } from "../config/diagnostic.js";
import type { Model } from "../descriptors/model.js";
import type { Channel } from "../upstream/channel.js";
import type { LiveKitConfig, LiveKitSections } from "./config.js";
import type { Once } from "./idempotency-cache.js";
import type { LiveKitMetrics } from "./metrics.js";
import type { Removals } from "./removals.js";

/** A message for the members of a realtime room. */
export interface RoomMessage {
  readonly from: string;
  readonly message: string;
}

/** The parts of the gateway that LiveKit's module uses. */
export interface LiveKitDeps {
  readonly model: Model;
  /** The channel of an upstream of the configuration; called when a call is made. */
  channel(upstream: string): Channel;
  readonly metrics: LiveKitMetrics;
  readonly removals: Removals;
  /** Events of webhooks, by their ids. */
  readonly delivered: Once;
  /** Undefined without realtime rooms. */
  readonly publish: ((room: string, message: RoomMessage) => void | Promise<void>) | undefined;
  log(level: "info" | "warn", fields: Readonly<Record<string, unknown>>, message: string): void;
  /** Position of a node of the configuration. */
  locate(path: Path): FilePosition;
}

/** The inputs from which every part of this module is compiled. */
export interface LiveKitParts {
  readonly config: LiveKitSections;
  readonly livekit: LiveKitConfig;
  readonly deps: LiveKitDeps;
  readonly problems: LiveKitProblems;
}

/** Collects problems of the section `livekit` that only descriptors or templates reveal. */
export class LiveKitProblems {
  readonly diagnostics: Diagnostic[] = [];
  readonly #locate: (path: Path) => FilePosition;

  /** @param locate gives the position of a node of the configuration */
  constructor(locate: (path: Path) => FilePosition) {
    this.#locate = locate;
  }

  error(path: Path, message: string, suggestion?: string): undefined {
    this.#add("error", path, message, suggestion);
  }

  warning(path: Path, message: string): undefined {
    this.#add("warning", path, message, undefined);
  }

  #add(severity: Diagnostic["severity"], path: Path, message: string, suggestion: string | undefined): void {
    this.diagnostics.push({
      severity,
      message,
      position: this.#locate(path),
      path: formatPath(path),
      ...(suggestion === undefined ? {} : { suggestion }),
    });
  }
}
