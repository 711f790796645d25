/** The seam between the gateway and any transport: bytes, metadata and a status in and out. */

import type { Cancellation } from "../net/cancellation.js";

/**
 * Metadata in wire order, one entry a value, names in lower case.
 * Values of `-bin` names are raw bytes, all others are ASCII text.
 */
export type Metadata = readonly (readonly [name: string, value: string | Uint8Array])[];

export const noMetadata: Metadata = [];

/** The first text value of a name. */
export function metadataText(metadata: Metadata, name: string): string | undefined {
  for (const [entry, value] of metadata) if (entry === name && typeof value === "string") return value;
  return undefined;
}

/** Receives the attempts of a call, for traces. */
export interface CallTrace {
  /** Undefined where the trace is not recorded. */
  readonly traceId: string | undefined;
  /**
   * An attempt begins.
   * @param endpoint its address
   * @param number of the attempt, from 1
   * @param system the protocol of the upstream
   */
  attempt(endpoint: string, number: number, system: string): AttemptTrace;
}

export interface AttemptTrace {
  /** Metadata of the attempt beside that of the call. */
  readonly metadata: Metadata;
  /** Once. */
  ended(status: CallStatus): void;
}

/** Common to calls of both kinds. */
export interface CallOptions {
  /** `/package.Service/Method` */
  readonly path: string;
  /** The name under which metrics count it, where the path comes from outside. */
  readonly countedAs?: string | undefined;
  readonly passed?: PassedEncodings | undefined;
  readonly metadata: Metadata;
  /** Milliseconds from now until the call fails with DEADLINE_EXCEEDED; undefined: no deadline. Retries happen within it. */
  readonly timeout: number | undefined;
  readonly cancellation: Cancellation;
  /** Undefined where the call is not traced. */
  readonly trace?: CallTrace | undefined;
}

export interface UnaryCall extends CallOptions {
  readonly request: Uint8Array;
  readonly timeout: number;
  /** True where the call may be sent again after a failure of the transport (safe or idempotent methods). */
  readonly retryable: boolean;
}

/**
 * Why a call failed, before or beside a response of the backend:
 * `http` something between gateway and backend responded, by an HTTP status or a reset of the stream whose meaning gRPC
 * defines (https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md; gRPC over HTTP/2, Errors);
 * `connect` no endpoint could be reached; `refused` the upstream did not process the call, and it is not sent again; `lost` its
 * connection ended before its response, and it may have been processed; `protocol` the upstream broke gRPC or HTTP/2; `deadline` our own clock;
 * `cancelled` our caller left; `size` a response message was larger than allowed, `request size` a request message;
 * `request encoding` the backend does not take compressed messages;
 * `request` the call has a path or metadata
 * that HTTP/2 cannot carry and was never sent; `streams` the protocol of the upstream carries none;
 * `framework` tRPC's framework in the backend ended the call (`ret`), `business` the backend's own code did (`func_ret`);
 * `backend` the backend responded with this status.
 */
export type FailureOrigin =
  | "connect"
  | "refused"
  | "lost"
  | "protocol"
  | "http"
  | "deadline"
  | "cancelled"
  | "size"
  | "request size"
  | "request encoding"
  | "request"
  | "streams"
  | "framework"
  | "business"
  | "backend";

export interface CallStatus {
  /** gRPC status code; codes above 16 are passed through as they came. */
  readonly code: number;
  readonly message: string;
  /** Undefined when code is 0. */
  readonly origin: FailureOrigin | undefined;
  /** The code of a tRPC server: `ret` or `func_ret`. Neither is a code of gRPC. */
  readonly backendCode?: number;
  /**
   * Most bytes: of a message (`max_message_size`) where the origin is a size; of the kept part of a stream where it was
   * refused after more of it had been sent.
   */
  readonly limit?: number;
}

/** The text of a status for operators of the gateway. */
export function statusDetail({ origin, backendCode, message }: CallStatus): string {
  return `${origin}${backendCode === undefined ? "" : ` ${backendCode}`}: ${message}`;
}

/** Whether the backend itself ended the call, and nothing on the way to it. */
export function fromBackend(origin: string | undefined): boolean {
  return origin === "backend" || origin === "framework" || origin === "business";
}

export interface UnaryResult {
  readonly status: CallStatus;
  /** Set exactly when status.code is 0. */
  readonly message: Uint8Array | undefined;
  /** Initial metadata. */
  readonly headers: Metadata;
  /** Trailing metadata, `grpc-status-details-bin` included. */
  readonly trailers: Metadata;
  /** How often the call was sent: 1 without retries, 0 when it never was. */
  readonly attempts: number;
  /** From the start of the call to its status, retries and the waits between them included. */
  readonly seconds: number;
}

/**
 * The encodings of the messages of a call that are not read: whole envelopes, flag and length included, compressed
 * or not, both ways. Initial metadata of the response has `grpc-encoding` and `grpc-accept-encoding`, where they came.
 */
export interface PassedEncodings {
  /** `grpc-encoding` and `grpc-accept-encoding` as the caller sends them, printable ASCII. */
  readonly encoding: string | undefined;
  readonly accepted: string | undefined;
}

export interface StreamCall extends CallOptions {
  /** Initial metadata arrived; called at most once, before any message. */
  onHeaders?(headers: Metadata): void;
  /** Called only while the stream is not paused. */
  onMessage(message: Uint8Array): void;
  /** The last event, exactly once. */
  onEnd(status: CallStatus, trailers: Metadata): void;
  /** The stream takes messages again after `send` returned false. */
  onDrain?(): void;
}

export interface StreamHandle {
  /** Returns false where the caller has to wait for `onDrain` before it sends more. */
  send(message: Uint8Array): boolean;
  /** No more requests. */
  end(): void;
  /** Stops reading from the upstream through flow control. */
  pause(): void;
  resume(): void;
}

export interface EndpointState {
  /** `host:port` as resolved. */
  readonly address: string;
  readonly state: "idle" | "connecting" | "ready" | "failing" | "unhealthy";
  /** Calls under way. */
  readonly pending: number;
}

/** One upstream: balancing, deadlines, retries and health are inside. Never throws; failures are statuses. */
export interface Channel {
  unary(call: UnaryCall): Promise<UnaryResult>;
  /** The same without a promise: `onResult` is called exactly once, perhaps before this returns; it must not throw. */
  begin(call: UnaryCall, onResult: (result: UnaryResult) => void): void;
  /** Whether there are streams; without, `stream` ends at once. */
  readonly streams: boolean;
  stream(call: StreamCall): StreamHandle;
  state(): EndpointState[];
  /** Refuses new calls, waits for those under way, then closes connections. */
  close(): Promise<void>;
}
