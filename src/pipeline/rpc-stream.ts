import type { RpcBinding } from "../bindings/binding.js";
import { requestFailure, TranscodeError } from "../codec/error.js";
import { Cancellation } from "../net/cancellation.js";
import type { CallMetadata } from "../protocols/protocol.js";
import { Code } from "../status/code.js";
import { type Failure, GatewayError, gatewayFailure } from "../status/failure.js";
import type { RouteStreams, StreamEndReason } from "../telemetry/stream-metrics.js";
import { callFailure } from "../upstream/call/call-failure.js";
import {
  type CallStatus,
  type CallTrace,
  type Metadata,
  noMetadata,
  type PassedEncodings,
  type StreamHandle,
  statusDetail,
} from "../upstream/channel.js";

/** The client's side of a streaming call, over any carrier. Must not throw. */
export interface StreamClient {
  /** Initial metadata of the backend; at most once, before any message. */
  headers(metadata: Metadata): void;
  /** One response. @returns false where the client is behind: no further one comes before `RpcStream.resume` */
  message(message: Uint8Array): boolean;
  /** The backend takes requests again after `RpcStream.send` returned false. */
  drain(): void;
  /** The last call, exactly once. @param failure undefined where the call ended OK */
  end(failure: Failure | undefined, metadata: CallMetadata, detail: string | undefined): void;
}

export interface RpcStreamOptions {
  readonly binding: RpcBinding;
  /** `/package.Service/Method` */
  readonly path: string;
  /** The encodings of the caller, where the messages are not read. */
  readonly passed: PassedEncodings | undefined;
  readonly metadata: Metadata;
  /** Milliseconds; undefined: no deadline. */
  readonly timeoutMs: number | undefined;
  /** Of the client: it has left. */
  readonly cancellation: Cancellation;
  readonly trace: CallTrace | undefined;
  /** Checks one request message by policies and rules. @throws GatewayError */
  check(message: Uint8Array): void;
  readonly metrics: RouteStreams;
}

/**
 * One streaming call of a binding. Every request passes the rules and policies of the method; a client that is behind
 * stops the backend by flow control, and a backend that is behind stops the client. It ends once, by whichever comes
 * first: the backend's status, the deadline, the client, a bad request, the end of the gateway.
 *
 *     open ──► (send* endRequests?) ──► end        responses come between open and end
 *      └────────── abort, client leaves ──► end
 */
export class RpcStream {
  readonly #options: RpcStreamOptions;
  readonly #client: StreamClient;
  /** Of the call to the backend. */
  readonly #call = new Cancellation();
  #handle: StreamHandle | undefined;
  #headers: Metadata = noMetadata;
  #responses = 0;
  #over = false;

  constructor(options: RpcStreamOptions, client: StreamClient) {
    this.#options = options;
    this.#client = client;
    options.metrics.open++;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Begins the call to the backend. Once; requests may be sent before, they open it too. */
  open(): void {
    if (this.#handle !== undefined || this.#over) return;
    const { binding, path, passed, metadata, timeoutMs, cancellation, trace } = this.#options;
    cancellation.listen(() => this.#call.cancel());
    this.#handle = binding.channel.stream({
      path,
      countedAs: binding.route.rpc.path,
      passed,
      metadata,
      timeout: timeoutMs,
      cancellation: this.#call,
      trace,
      onHeaders: headers => {
        if (this.#over) return;
        this.#headers = headers;
        this.#client.headers(headers);
      },
      onMessage: message => this.#receive(message),
      onEnd: (status, trailers) => this.#ended(status, trailers),
      onDrain: () => {
        if (!this.#over) this.#client.drain();
      },
    });
  }

  /** Sends one request. One that is refused ends the call. @returns false: wait for `StreamClient.drain` */
  send(message: Uint8Array): boolean {
    if (this.#over) return true;
    try {
      this.#options.check(message);
    } catch (error) {
      this.abortWith(error);
      return true;
    }
    this.open();
    const { messages, bytes } = this.#options.metrics.requests;
    messages.value++;
    bytes.value += message.length;
    return this.#handle?.send(message) ?? true;
  }

  /** No further requests. */
  endRequests(): void {
    this.open();
    if (!this.#over) this.#handle?.end();
  }

  /** The client takes responses again. */
  resume(): void {
    if (!this.#over) this.#handle?.resume();
  }

  /** Ends the call as a success: the client needs no further response. */
  stop(): void {
    if (this.#over) return;
    this.#finish(undefined, noMetadata, undefined);
    this.#call.cancel();
  }

  /** Ends the call from this side. @param detail for the log */
  abort(failure: Failure, detail?: string): void {
    if (this.#over) return;
    this.#finish(failure, noMetadata, detail);
    this.#call.cancel();
  }

  /** The same with an error: one that is no failure of the client is INTERNAL. */
  abortWith(error: unknown): void {
    if (error instanceof GatewayError) this.abort(error.failure);
    else if (error instanceof TranscodeError) this.abort(requestFailure(error));
    else this.abort(internalFailure(), error instanceof Error ? error.stack : String(error));
  }

  #receive(message: Uint8Array): void {
    if (this.#over) return;
    const { binding, metrics } = this.#options;
    metrics.responses.messages.value++;
    metrics.responses.bytes.value += message.length;
    this.#responses++;
    if (this.#responses > 1 && !binding.route.rpc.serverStreaming) {
      this.abort(protocolFailure(), "the backend sent more than one response to a method with one");
    } else if (!this.#client.message(message)) {
      this.#handle?.pause();
    }
  }

  #ended(status: CallStatus, trailers: Metadata): void {
    if (this.#over) return;
    const { binding } = this.#options;
    if (status.code === Code.OK && this.#responses === 0 && !binding.route.rpc.serverStreaming)
      this.#finish(protocolFailure(), trailers, "the backend sent no response");
    else if (status.code === Code.OK) this.#finish(undefined, trailers, undefined);
    else
      this.#finish(
        callFailure({ status, trailers }, binding.route.policy.statusOf),
        trailers,
        statusDetail(status),
      );
  }

  #finish(failure: Failure | undefined, trailers: Metadata, detail: string | undefined): void {
    const { metrics, cancellation } = this.#options;
    this.#over = true;
    cancellation.listen(undefined);
    metrics.open--;
    metrics.ended(endReason(failure));
    this.#client.end(failure, { headers: this.#headers, trailers }, detail);
  }
}

function endReason(failure: Failure | undefined): StreamEndReason {
  if (failure === undefined) return "ok";
  if (failure.origin === "upstream") return "upstream_error";
  switch (failure.reason) {
    case "CLIENT_CLOSED":
      return "client_closed";
    case "UPSTREAM_TIMEOUT":
      return "deadline";
    case "SHUTTING_DOWN":
      return "drain";
    default:
      return "gateway_error";
  }
}

function internalFailure(): Failure {
  return gatewayFailure("INTERNAL", "the gateway failed; the request id leads to its log");
}

function protocolFailure(): Failure {
  return gatewayFailure("UPSTREAM_PROTOCOL", "the upstream broke its protocol");
}
