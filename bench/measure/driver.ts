import type { Load } from "../load/load.js";
import type { LoadBounds, LoadResult } from "../load/protocol.js";

/** What was done in a run; `p50` and `p99` where they were measured. */
export type Work = Pick<LoadResult, "requests" | "seconds"> & Partial<LoadResult>;

/** Keeps a process under test busy. Between `open` and `close` it can run any number of times. */
export interface Driver {
  open(): Promise<void>;
  run(bounds: LoadBounds): Promise<Work>;
  close(): Promise<void>;
}

/** How a server is driven over HTTP/1.1. */
export interface HttpTraffic {
  /** One, or several to connect to in turn. */
  readonly port: number | readonly number[];
  readonly encrypted?: boolean;
  readonly connections: number;
  /** The whole request, or several that are sent in turn. */
  readonly request: Buffer | readonly Buffer[];
  /** Requests a second; absent: as fast as answers come. */
  readonly rate?: number;
}

/** Drives a server by the load generator. */
export function httpDriver(load: Load, { request, rate, ...traffic }: HttpTraffic): Driver {
  return {
    open: () => load.open(traffic, request),
    run: bounds => load.run(rate === undefined ? bounds : { ...bounds, rate }),
    close: () => load.close(),
  };
}
