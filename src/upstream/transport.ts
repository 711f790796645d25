import { Code } from "../status/code.js";
import type { EndpointAddress, UpstreamTarget } from "./balancing/target.js";
import {
  type CallStatus,
  type FailureOrigin,
  type Metadata,
  noMetadata,
  type PassedEncodings,
} from "./channel.js";
import type { ChannelOptions } from "./options.js";
import type { RpcProtocol } from "./protocols.js";

/** `failing`: the last attempt to connect failed, or has taken too long. */
export type TransportState = "idle" | "connecting" | "ready" | "failing";

/** One call on one connection, no retries. */
export interface TransportCall {
  readonly path: string;
  readonly metadata: Metadata;
  /** Milliseconds that the upstream has, sent in the header of the call; undefined: no limit. */
  readonly timeout: number | undefined;
  /** How often the call was sent before (`grpc-previous-rpc-attempts`). */
  readonly previousAttempts: number;
  /** Messages of so many bytes and more are sent compressed with gzip; undefined: none, and no header announces it. */
  readonly compressFrom?: number | undefined;
  /** Only `lean` has it. */
  readonly passed?: PassedEncodings | undefined;
  /** A stream whose connection refused the call: another connection is used where one can be opened. */
  readonly avoid?: TransportStream | undefined;
}

/**
 * How far a call came before it ended (gRFC A6 distinguishes the same for transparent retries):
 * `declined` this address cannot take it (no connection, a full queue, metadata too large), another may;
 * `unsent` nothing of it left the gateway;
 * `refused` the peer announced that it did not process it (REFUSED_STREAM);
 * `goaway` it did so because the connection goes away (a stream above the last one of GOAWAY, or REFUSED_STREAM after it);
 * `sent` the backend may have processed it.
 */
export type AttemptProgress = "declined" | "unsent" | "refused" | "goaway" | "sent";

/** How a call on a transport ended. */
export interface StreamOutcome {
  readonly status: CallStatus;
  readonly trailers: Metadata;
  /** Anything but `sent`: response headers have not come, and the call may be sent again. */
  readonly progress: AttemptProgress;
}

/** The outcome of a call that fails on this side of the backend, or without any status of it. */
export function failure(
  code: number,
  origin: FailureOrigin,
  message: string,
  progress: AttemptProgress = "sent",
): StreamOutcome {
  return { status: { code, message, origin }, trailers: noMetadata, progress };
}

/** The outcome of a call whose upstream breaks gRPC or HTTP/2. */
export function protocolFailure(message: string): StreamOutcome {
  return failure(Code.INTERNAL, "protocol", message);
}

/** Receives the events of one call. Called asynchronously, never from within a method of the stream; must not throw. */
export interface TransportListener {
  /** Initial metadata; at most once, before any message. */
  onHeaders(headers: Metadata): void;
  /** At most one for each `read`. */
  onMessage(message: Uint8Array): void;
  /** The message given to `send` was written; the next may be sent. */
  onWritten(): void;
  /** The last event, exactly once unless the call was cancelled. */
  onEnd(outcome: StreamOutcome): void;
}

export interface TransportStream {
  /** One message at a time: the next after `onWritten`. */
  send(message: Uint8Array): void;
  /** No more messages will be sent. */
  end(): void;
  /** Requests one more message; others wait in the upstream through flow control. */
  read(): void;
  /** Resets the stream. No event follows. */
  cancel(): void;
}

/** Connections to one address. Connects on the first call, and by itself again after a failure. */
export interface Transport {
  readonly state: TransportState;
  /** @throws Error where path or metadata cannot be sent */
  start(call: TransportCall, listener: TransportListener): TransportStream;
  /** Closes once the calls under way have ended. No call may be started afterwards. */
  close(): void;
}

/** Opens the transport of one endpoint; `onFailing` is called when connecting has failed. */
export type Connector = (
  address: EndpointAddress,
  target: UpstreamTarget,
  onFailing: () => void,
) => Transport;

/** A kind of transport, as `transport` of an upstream selects it. */
export interface TransportType {
  /** As `protocol` of an upstream names it, and the label of metrics. */
  readonly protocol: RpcProtocol;
  /**
   * Prepares the part that all endpoints of a channel share.
   * @throws Error where the TLS material cannot be used: certificate or key is not PEM, or they do not belong together
   */
  connector(options: ChannelOptions): Connector;
}

/** @throws Error where it is no path of a method, as requests carry it */
export function checkPath(path: string): void {
  if (!legalPath.test(path)) throw new Error(`expected a path /service/method, found ${path}`);
}

const legalPath = /^\/[\x21-\x7e]+$/;
