import type { Connection } from "./connection.js";

/** What keeps connections busy in a run. */
export interface Loop {
  start(): void;
  /** The response on this connection is complete. */
  answered(connection: Connection): void;
}

/** What a loop is made with. Times in milliseconds. */
export interface LoopPlan {
  /** Open, and nothing under way on any. */
  readonly connections: readonly Connection[];
  readonly milliseconds: number;
  /** Most requests. */
  readonly requests: number;
  /** Hears how long each request took. */
  took(milliseconds: number): void;
  /** All that was sent is answered, and no more will be. */
  finished(): void;
}
