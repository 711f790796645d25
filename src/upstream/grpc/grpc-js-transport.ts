import {
  type ChannelCredentials,
  connectivityState,
  credentials,
  Channel as GrpcChannel,
  type Metadata as GrpcMetadata,
  type ChannelOptions as GrpcOptions,
  logVerbosity,
  type StatusObject,
  setLogVerbosity,
} from "@grpc/grpc-js";
import { Code } from "../../status/code.js";
import type { EndpointAddress, UpstreamTarget } from "../balancing/target.js";
import { asBuffer, fromGrpcMetadata, toGrpcMetadata } from "../metadata.js";
import type { ChannelOptions } from "../options.js";
import type {
  Transport,
  TransportCall,
  TransportListener,
  TransportState,
  TransportStream,
} from "../transport.js";
import { grpcJsOutcome, isGrpcType, protocolFailure, unexpectedContentType } from "./grpc-js-status.js";

// grpc-js writes to stderr what a backend can provoke; failures reach the log as statuses. GRPC_VERBOSITY brings it back.
if (process.env.GRPC_VERBOSITY === undefined) setLogVerbosity(logVerbosity.NONE);

/** Milliseconds after which an address that does not finish connecting counts as failing. */
const connectTimeout = 3_000;

type GrpcCall = ReturnType<GrpcChannel["createCall"]>;

/** @throws Error where certificate or key is not PEM, or they do not belong together */
export function createCredentials({ tls }: ChannelOptions): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  return credentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.cert ?? null);
}

function grpcOptions(
  { tls, keepalive, maxMessageSize, userAgent }: ChannelOptions,
  target: UpstreamTarget,
): GrpcOptions {
  const serverName = tls?.serverName ?? (target.kind === "name" ? target.host : undefined);
  return {
    // Retries, balancing and resolution are ours.
    "grpc.enable_retries": 0,
    "grpc.service_config_disable_resolution": 1,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_http_proxy": 0,
    "grpc.enable_channelz": 0,
    // Without room to buffer for retries, a write is reported as done only when the connection took it.
    "grpc.retry_buffer_size": 0,
    "grpc.per_rpc_retry_buffer_size": 0,
    "grpc.max_send_message_length": -1,
    "grpc.max_receive_message_length": maxMessageSize,
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 5_000,
    "grpc.default_authority": tls?.serverName ?? target.authority,
    ...(tls !== undefined && serverName !== undefined && { "grpc.ssl_target_name_override": serverName }),
    ...(userAgent !== undefined && { "grpc.primary_user_agent": userAgent }),
    ...(keepalive !== undefined && {
      "grpc.keepalive_time_ms": keepalive.time,
      "grpc.keepalive_timeout_ms": keepalive.timeout,
      "grpc.keepalive_permit_without_calls": 1,
    }),
  };
}

/** One grpc-js channel, used below its Client: a call costs no emitter and no stack trace, and is read on demand. */
export class GrpcJsTransport implements Transport {
  readonly #channel: GrpcChannel;
  readonly #onFailing: () => void;
  #state: TransportState = "idle";
  #connectingSince = 0;

  /** `onFailing` is called when connecting has failed. */
  constructor(
    address: EndpointAddress,
    target: UpstreamTarget,
    secrets: ChannelCredentials,
    options: ChannelOptions,
    onFailing: () => void,
  ) {
    this.#channel = new GrpcChannel(address.uri, secrets, grpcOptions(options, target));
    this.#onFailing = onFailing;
    this.#watch();
  }

  get state(): TransportState {
    const slow = this.#state === "connecting" && performance.now() - this.#connectingSince > connectTimeout;
    return slow ? "failing" : this.#state;
  }

  start(call: TransportCall, listener: TransportListener): TransportStream {
    if (!legalPath.test(call.path)) throw new Error(`expected a path /service/method, found ${call.path}`);
    const metadata = toGrpcMetadata(call.metadata);
    if (call.timeout !== undefined) metadata.set("grpc-timeout", timeoutText(call.timeout));
    if (call.previousAttempts > 0) metadata.set("grpc-previous-rpc-attempts", String(call.previousAttempts));
    const grpcCall = this.#channel.createCall(call.path, Number.POSITIVE_INFINITY, null, null, null);
    return new GrpcJsCall(grpcCall, metadata, listener);
  }

  close(): void {
    this.#channel.close();
  }

  #watch(): void {
    const current = this.#channel.getConnectivityState(false);
    switch (current) {
      case connectivityState.READY:
        this.#state = "ready";
        break;
      case connectivityState.CONNECTING:
        this.#state = "connecting";
        this.#connectingSince = performance.now();
        break;
      case connectivityState.TRANSIENT_FAILURE:
        this.#state = "failing";
        this.#onFailing();
        break;
      case connectivityState.IDLE:
        this.#state = "idle";
        break;
      case connectivityState.SHUTDOWN:
        this.#state = "idle";
        return;
    }
    this.#channel.watchConnectivityState(current, Number.POSITIVE_INFINITY, () => this.#watch());
  }
}

const legalPath = /^\/[\x21-\x7e]+$/;

/** gRPC over HTTP/2, Timeout: at most eight digits and a unit. */
function timeoutText(milliseconds: number): string {
  const whole = Math.max(1, Math.ceil(milliseconds));
  if (whole < 1e8) return `${whole}m`;
  return `${Math.min(Math.ceil(whole / 1000), 99_999_999)}S`;
}

/** Both ends of one grpc-js call. */
class GrpcJsCall implements TransportStream {
  readonly #call: GrpcCall;
  readonly #listener: TransportListener;
  readonly #written: { readonly callback: () => void };
  #headers = false;
  #foreignType: string | undefined;
  #ended = false;

  constructor(call: GrpcCall, metadata: GrpcMetadata, listener: TransportListener) {
    this.#call = call;
    this.#listener = listener;
    this.#written = {
      callback: () => {
        if (!this.#ended) listener.onWritten();
      },
    };
    call.start(metadata, this);
  }

  send(message: Uint8Array): void {
    this.#call.sendMessageWithContext(this.#written, asBuffer(message));
  }

  end(): void {
    this.#call.halfClose();
  }

  read(): void {
    this.#call.startRead();
  }

  cancel(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#call.cancelWithStatus(Code.CANCELLED, "");
  }

  onReceiveMetadata(metadata: GrpcMetadata): void {
    if (this.#ended) return;
    const contentType = metadata.get("content-type")[0];
    if (isGrpcType(contentType)) {
      this.#headers = true;
      this.#listener.onHeaders(fromGrpcMetadata(metadata));
    } else {
      // The end of the call tells the HTTP status, which says more than the content type.
      this.#foreignType = contentType === undefined ? "" : String(contentType);
    }
  }

  onReceiveMessage(message: Buffer): void {
    if (this.#ended) return;
    if (this.#foreignType === undefined) {
      this.#listener.onMessage(message);
    } else {
      this.cancel();
      this.#listener.onEnd(protocolFailure(unexpectedContentType(this.#foreignType)));
    }
  }

  onReceiveStatus(status: StatusObject): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#listener.onEnd(grpcJsOutcome(status, { headers: this.#headers, foreignType: this.#foreignType }));
  }
}
