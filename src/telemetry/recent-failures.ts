import { codeName } from "../status/code.js";

/** A request that failed: its route and its error; of the caller's data only the ids. */
export interface RecentFailure {
  /** ISO 8601. */
  readonly at: string;
  readonly method: string;
  /** Template of the route; null where none matched. */
  readonly route: string | null;
  readonly upstream: string | null;
  /** The real HTTP status, independent of the dialect's. */
  readonly status: number;
  readonly grpc_code: string;
  /** `Failure.reason`; null where the backend's own response is passed through. */
  readonly reason: string | null;
  readonly request_id: string;
  readonly trace_id: string | null;
}

/** A request that failed, as the pipeline knows it. */
export interface FailedRequest {
  /** As `methodLabel` gives it. */
  readonly method: string;
  readonly route: string | undefined;
  readonly upstream: string | undefined;
  readonly status: number;
  readonly code: number;
  readonly reason: string | undefined;
  readonly requestId: string;
  readonly traceId: string | undefined;
}

/** Failures of each kind that are kept. */
const kept = 100;
/** Characters; a backend may have written it. */
const maxReason = 64;

/**
 * The latest requests that failed. Those of the gateway and its backends are kept apart from those of callers, which are
 * many where a scanner tries paths.
 */
export class RecentFailures {
  readonly #server = new Latest<Kept>(kept);
  readonly #caller = new Latest<Kept>(kept);

  /** Of a status from 400 on. */
  add(request: FailedRequest): void {
    const failures = request.status >= 500 ? this.#server : this.#caller;
    const reason = request.reason?.slice(0, maxReason);
    failures.add({ request: { ...request, reason }, at: Date.now() });
  }

  /** Newest first. */
  list(): RecentFailure[] {
    const all = [...this.#server.items, ...this.#caller.items];
    return all.sort((a, b) => b.at - a.at).map(shown);
  }
}

interface Kept {
  readonly request: FailedRequest;
  /** Milliseconds since 1970. */
  readonly at: number;
}

function shown({ request, at }: Kept): RecentFailure {
  return {
    at: new Date(at).toISOString(),
    method: request.method,
    route: request.route ?? null,
    upstream: request.upstream ?? null,
    status: request.status,
    grpc_code: codeName(request.code),
    reason: request.reason ?? null,
    request_id: request.requestId,
    trace_id: request.traceId ?? null,
  };
}

/** A bounded list whose oldest item makes room for the next. */
class Latest<T> {
  readonly items: T[] = [];
  readonly #most: number;
  #next = 0;

  constructor(most: number) {
    this.#most = most;
  }

  add(item: T): void {
    this.items[this.#next] = item;
    this.#next = (this.#next + 1) % this.#most;
  }
}
