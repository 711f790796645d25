import type { TSchema } from "typebox";
import type { Path } from "../../config/diagnostic.js";
import type { Findings } from "../../config/findings.js";
import type { DraftOf } from "../../config/schema.js";
import type { Logger } from "../../telemetry/logger.js";
import type { Decision, Rate } from "../rate.js";

/** Where the buckets of one limit are. */
export interface Store {
  /** Takes a request out of the key's bucket if it has one left. Rejects where a server does not respond. */
  take(key: string): Decision | Promise<Decision>;
}

/** A resource shared by stores of several limits, such as a connection; it outlives reloads while one uses it. */
export interface StoreBackend {
  store(limit: string, rate: Rate): Store;
  retain(): void;
  /** Closes the resource when it has no users any more. */
  release(): void;
}

export interface StoreContext {
  readonly log: Pick<Logger, "warn" | "info">;
  /** Ticks of a monotonic clock. */
  readonly now: () => number;
  /** Milliseconds that a server may take for a decision; default that of the kind. */
  readonly timeoutMs: number | undefined;
  /** Of a worker: shares buckets in memory with the other workers. */
  readonly borrower?: { store(limit: string, rate: Rate): Store } | undefined;
}

/** A kind of store: the value of `store`. Clients of servers are loaded only where they are used. */
export interface StoreType<Server = never> {
  /**
   * Set where counts are on a server, which a limit names under the kind's own name; while the server does not
   * respond, `on_store_failure` holds.
   */
  readonly server?: {
    readonly schema: TSchema;
    check(at: Path, config: DraftOf<Server>, findings: Findings): void;
    /** The same where connections are the same, files of certificates included. */
    identity(config: Server): string;
  };
  /** @param server checked; undefined for a kind without */
  open(server: Server | undefined, context: StoreContext): StoreBackend;
}
