/** What the load process is told, one after the other: open, run (any number of times), close. */
export type LoadOrder =
  | {
      readonly kind: "open";
      /** Connections go to each in turn. */
      readonly ports: readonly number[];
      readonly encrypted: boolean;
      readonly connections: number;
      /** Whole requests, as Latin-1 text; sent in turn, over all connections. */
      readonly requests: readonly string[];
    }
  | ({ readonly kind: "run" } & LoadBounds)
  | { readonly kind: "close" };

/** A run ends by whichever comes first; requests under way are waited for. */
export interface LoadBounds {
  readonly milliseconds: number;
  readonly requests: number;
  /** Requests a second, sent whether or not earlier ones were answered; absent: as fast as answers come. */
  readonly rate?: number;
}

export type LoadReply =
  | { readonly kind: "done" }
  | ({ readonly kind: "result" } & LoadResult)
  | { readonly kind: "failed"; readonly message: string };

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Microseconds from when a request was due. */
  readonly p50: number;
  readonly p99: number;
  /** CPU that the load process itself used. */
  readonly cpuSeconds: number;
}

/** Most requests that one run can have. */
export const mostRequests = 2_000_000;

/** Most requests that can be due and wait for a connection: a server that is further behind does not keep the rate. */
export const mostWaiting = 20_000;
