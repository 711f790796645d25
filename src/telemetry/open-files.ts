import { close, openSync, readFileSync } from "node:fs";
import type { Logger } from "./logger.js";

const intervalMs = 1000;
/** With so few file descriptors left the process counts as out of them; with twice as many it does no longer. */
const reserve = 64;

/**
 * Whether the process has file descriptors left. Without any, the system takes connections from clients only to drop
 * them, and backends cannot be reached. Both changes of the state are logged.
 */
export class OpenFiles {
  /** How many the process may have; infinite where the system does not report it, as elsewhere than on Linux. */
  readonly limit: number;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #low = false;

  /** @param limit default: the system's limit for the process */
  constructor(log: Logger, limit: number = limitOfProcess()) {
    this.#log = log;
    this.limit = limit;
    this.#timer = setInterval(() => this.look(), intervalMs).unref();
  }

  /** Whether connections are being refused, or are about to be. */
  get low(): boolean {
    return this.#low;
  }

  look(): void {
    const kept = Math.min(reserve, this.limit / 8);
    const low = lowestFree() >= this.limit - (this.#low ? 2 * kept : kept);
    if (low === this.#low) return;
    this.#low = low;
    const { limit } = this;
    if (low)
      this.#log.error(
        { limit },
        "file descriptors are used up: connections are refused; raise the limit (ulimit -n, LimitNOFILE of systemd)",
      );
    else this.#log.info({ limit }, "file descriptors are available again");
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** The descriptor that the system gives next, which is as many as are open unless there are gaps; infinite: none is left. */
function lowestFree(): number {
  try {
    const descriptor = openSync("/dev/null", "r");
    close(descriptor);
    return descriptor;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EMFILE" ? Number.POSITIVE_INFINITY : 0;
  }
}

function limitOfProcess(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
