/** What the load process is told, one after the other: open, run (any number of times), close. */
export type LoadOrder =
  | {
      readonly kind: "open";
      readonly port: number;
      readonly connections: number;
      /** The whole request, as Latin-1 text. */
      readonly request: string;
    }
  | ({ readonly kind: "run" } & LoadBounds)
  | { readonly kind: "close" };

/** A run ends by whichever comes first; requests under way are waited for. */
export interface LoadBounds {
  readonly milliseconds: number;
  readonly requests: number;
}

export type LoadReply =
  | { readonly kind: "done" }
  | ({ readonly kind: "result" } & LoadResult)
  | { readonly kind: "failed"; readonly message: string };

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Microseconds. */
  readonly p50: number;
  readonly p99: number;
  /** CPU that the load process itself used. */
  readonly cpuSeconds: number;
}

/** Most requests that one run can have. */
export const mostRequests = 2_000_000;
