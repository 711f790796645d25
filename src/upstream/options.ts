import type { KeepaliveOptions } from "../h2/keepalive.js";
import type { TrpcOptions } from "./trpc/config.js";

/** How an upstream is reached, in normalized units: milliseconds, bytes, PEM. */
export interface ChannelOptions {
  /** The upstream's name, for messages to people. */
  readonly name: string;
  /** See `parseTarget`. At least one. */
  readonly targets: readonly string[];
  readonly balancing: Balancing;
  readonly transport: TransportKind;
  /** Largest message either way, in bytes, before framing and after decompression. */
  readonly maxMessageSize: number;
  /** Messages of so many bytes and more are sent compressed with gzip. Absent: none. */
  readonly compressFrom?: number;
  /** Absent: plain text. */
  readonly tls?: TlsOptions;
  readonly keepalive?: KeepaliveOptions;
  /** Absent: no health checks, every endpoint counts as healthy. */
  readonly health?: HealthOptions;
  /** Absent: every call is sent once. */
  readonly retry?: RetryOptions;
  readonly trpc?: TrpcOptions;
  /** Put before the transport's own user agent, where it has one. */
  readonly userAgent?: string;
}

/** Values of `transport` in the configuration. `lean`: our own HTTP/2 client; `grpc-js`: that of `@grpc/grpc-js`. */
export const grpcTransports = ["lean", "grpc-js"] as const;

/** Transports to endpoints: those of gRPC, and tRPC's own. */
export type TransportKind = (typeof grpcTransports)[number] | "trpc";

export type Balancing = "round_robin" | "least_request" | "pick_first";

/** PEM material. Without `ca` the authorities of the system are trusted; `cert` and `key` come together. */
export interface TlsOptions {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  /** The name expected in the certificate and sent as authority, instead of the target's host. */
  readonly serverName?: string;
}

export interface HealthOptions {
  /** The service whose health is requested; empty: the server as a whole. */
  readonly service: string;
}

export interface RetryOptions {
  /** Maximum number of attempts of a call, the first one included. From 1. */
  readonly attempts: number;
  /** gRPC status codes after which a call is sent again. */
  readonly on: readonly number[];
  /** Milliseconds before the first retry; doubles each time, with jitter. */
  readonly backoff: number;
  /** Milliseconds between two attempts at most. */
  readonly maxBackoff: number;
  /** Retries for each call over all recent calls, 0..1. 0 forbids retries. */
  readonly budget: number;
}

/** Why an attempt is sent again although no retry was configured; see `AttemptProgress`. */
export type ResendReason = "unsent" | "refused" | "goaway";

/** Observes every call, for metrics. `path` is the call's path. */
export interface UpstreamObserver {
  started(path: string): void;
  /**
   * Exactly once for each `started`; retries and the waits between them are inside `seconds`.
   * @param businessCode the backend's own code, which is none of gRPC's
   */
  finished(
    path: string,
    code: number,
    seconds: number,
    businessCode: number | undefined,
    traceId: string | undefined,
  ): void;
  /** An attempt ended with `code` and the call is sent again. */
  retried(path: string, code: number): void;
  /** An attempt that the backend certainly did not process is sent again: it never left, or was refused. */
  resent(path: string, why: ResendReason): void;
}
