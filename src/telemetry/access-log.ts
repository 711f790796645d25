import { createHmac } from "node:crypto";
import { codeName } from "../status/code.js";
import type { LogConfig } from "./config.js";
import type { Logger } from "./logger.js";
import { none } from "./route-metrics.js";

/**
 * One request with its response. It has no field for a body, a header or a query, so that none can be logged by
 * mistake.
 */
export interface AccessEntry {
  readonly requestId: string;
  /** Undefined where the request belongs to no trace. */
  readonly traceId?: string | undefined;
  readonly method: string;
  /** Raw path without the query. */
  readonly path: string;
  /** Template of the route, undefined where none matched. */
  readonly route: string | undefined;
  /** `/package.Service/Method`, undefined where no route matched. */
  readonly rpc?: string | undefined;
  /** Name of the upstream, undefined where no route matched. */
  readonly upstream?: string | undefined;
  /** The real HTTP status, independent of the dialect's. */
  readonly status: number;
  /** gRPC status code. */
  readonly code: number;
  /** The backend's own code, of a protocol whose codes are not gRPC's. */
  readonly backendCode?: number | undefined;
  readonly seconds: number;
  /** Time spent in the upstream, undefined where it was not called. */
  readonly upstreamSeconds?: number | undefined;
  /** The authenticated caller; undefined where there is none. */
  readonly identity?: LoggedIdentity | undefined;
  /** Of the endpoint that was called last; undefined where that is not logged, or none was called. */
  readonly upstreamAddress?: string | undefined;
  /** Bytes of the bodies as received and as sent. */
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** `Failure.reason`, undefined for a success. */
  readonly reason: string | undefined;
  /** Details of the error, for operators only. */
  readonly detail?: string | undefined;
}

/** As much of an identity as the log may have. */
export interface LoggedIdentity {
  /** Name of the provider. */
  readonly provider: string;
  readonly subject: string;
}

/** Characters of a path or a detail that are logged. */
const maxText = 2048;
/** Characters of a subject. */
const maxSubject = 256;
/** Hexadecimal digits of a subject's hash. */
const hashDigits = 32;

/** Writes one line a request: `info`, or `warn` from status 500. */
export class AccessLog {
  readonly #logger: Logger;
  #config: LogConfig;
  /** Identities live as long as providers keep them, so that few are hashed twice. */
  #hashes = new WeakMap<LoggedIdentity, string>();

  constructor(logger: Logger, config: LogConfig) {
    this.#logger = logger;
    this.#config = config;
  }

  /** Sets the fields of later lines, and which lines are written. */
  use(config: LogConfig): void {
    if (config.hash_key !== this.#config.hash_key) this.#hashes = new WeakMap();
    this.#config = config;
    this.#logger.level = config.level;
  }

  /** Whether lines have the address of the endpoint. */
  get hasAddresses(): boolean {
    return this.#config.upstream_address;
  }

  /** Whether a request with this status is logged. */
  takes(status: number): boolean {
    return this.#logger.isLevelEnabled(levelOf(status));
  }

  write(entry: AccessEntry): void {
    if (!this.takes(entry.status)) return;
    const identity = this.#config.subject === "none" ? undefined : entry.identity;
    this.#logger[levelOf(entry.status)]({
      request_id: entry.requestId,
      trace_id: entry.traceId,
      method: entry.method,
      route: entry.route ?? none,
      path: truncate(entry.path),
      status: entry.status,
      grpc_code: codeName(entry.code),
      backend_code: entry.backendCode,
      duration_ms: milliseconds(entry.seconds),
      rpc: entry.rpc,
      upstream: entry.upstream,
      upstream_address: entry.upstreamAddress,
      upstream_ms: entry.upstreamSeconds === undefined ? undefined : milliseconds(entry.upstreamSeconds),
      provider: identity?.provider,
      subject: identity && this.#subjectOf(identity),
      bytes_in: entry.requestBytes,
      bytes_out: entry.responseBytes,
      reason: entry.reason,
      detail: entry.detail === undefined ? undefined : truncate(entry.detail),
    });
  }

  #subjectOf(identity: LoggedIdentity): string {
    const { subject, hash_key: key } = this.#config;
    if (subject === "plain" || key === undefined) return identity.subject.slice(0, maxSubject);
    let hash = this.#hashes.get(identity);
    if (hash === undefined) {
      hash = createHmac("sha256", key).update(identity.subject).digest("hex").slice(0, hashDigits);
      this.#hashes.set(identity, hash);
    }
    return hash;
  }
}

function levelOf(status: number): "warn" | "info" {
  return status >= 500 ? "warn" : "info";
}

function truncate(text: string): string {
  return text.length > maxText ? text.slice(0, maxText) : text;
}

/** To whole microseconds. */
function milliseconds(seconds: number): number {
  return Math.round(seconds * 1_000_000) / 1000;
}
