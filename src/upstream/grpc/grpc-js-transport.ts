import type { ClientHttp2Session } from "node:http2";
import { createRequire } from "node:module";
import type {
  ChannelCredentials,
  Channel as GrpcChannel,
  Metadata as GrpcMetadata,
  ChannelOptions as GrpcOptions,
  StatusObject,
} from "@grpc/grpc-js";
import { asBuffer } from "../../net/buffer.js";
import { stateChanged } from "../../net/state-changes.js";
import { Code } from "../../status/code.js";
import type { UpstreamTarget } from "../balancing/target.js";
import type { Metadata } from "../channel.js";
import type { ChannelOptions } from "../options.js";
import {
  checkPath,
  type Transport,
  type TransportCall,
  type TransportListener,
  type TransportState,
  type TransportStream,
  type TransportType,
} from "../transport.js";
import { fromGrpcMetadata, grpcJsOutcome } from "./grpc-js-outcome.js";
import { checkMetadata } from "./metadata.js";
import { timeoutText } from "./request-head.js";
import { contentTypeFailure, isGrpcType } from "./stream-outcome.js";

/** Milliseconds after which an address that does not finish connecting counts as failing. */
const connectTimeout = 3_000;

/** `WriteFlags.NoCompress` of grpc-js, which does not export it. */
const noCompress = 2;

type GrpcCall = ReturnType<GrpcChannel["createCall"]>;

type GrpcJs = typeof import("@grpc/grpc-js");

const require = createRequire(import.meta.url);
let loaded: GrpcJs | undefined;

/** Loads grpc-js when the first upstream selects it: it takes time to load, and 12 MiB of memory (grpc-js 1.14, Node.js 20). */
function loadGrpcJs(): GrpcJs {
  if (loaded !== undefined) return loaded;
  keepSessionHandles();
  loaded = require("@grpc/grpc-js") as GrpcJs;
  // It logs to stderr what backends provoke; failures reach the log as statuses. GRPC_VERBOSITY turns it on again.
  if (process.env.GRPC_VERBOSITY === undefined) loaded.setLogVerbosity(loaded.logVerbosity.NONE);
  return loaded;
}

/** Native sides of sessions that are about to close or closed a moment ago. */
const sessionHandles = new Set<unknown>();

/**
 * Node.js (20, 22 and 24) ends the process if the garbage collector frees a session before its streams and one of them has
 * fields of a header block that did not end: "Assertion failed: (current_nghttp2_memory_) == (0)" (nodejs/node#39951). A
 * stream is freed one turn of the event loop after it was destroyed, a session at any time. So sessions are kept for longer.
 */
function keepSessionHandles(): void {
  const http2 = require("node:http2") as typeof import("node:http2");
  const { connect } = http2;
  http2.connect = ((...parameters: Parameters<typeof connect>) =>
    keepSessionHandle(connect(...parameters))) as typeof connect;
}

function keepSessionHandle(session: ClientHttp2Session): ClientHttp2Session {
  return session.once("connect", () => {
    const symbol = Object.getOwnPropertySymbols(session).find(({ description }) => description === "kHandle");
    if (symbol === undefined) return;
    const handle: unknown = Reflect.get(session, symbol);
    sessionHandles.add(handle);
    session.once("close", () => setImmediate(() => setImmediate(() => sessionHandles.delete(handle))));
  });
}

/** `transport: grpc-js` */
export const grpcJsTransport: TransportType = {
  protocol: "grpc",
  connector(options) {
    const grpc = loadGrpcJs();
    const credentials = createCredentials(grpc, options);
    return (address, target, onFailing) => {
      const channel = new grpc.Channel(address.uri, credentials, grpcOptions(grpc, options, target));
      return new GrpcJsTransport(grpc, channel, onFailing);
    };
  },
};

function createCredentials({ credentials }: GrpcJs, { tls }: ChannelOptions): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  return credentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.cert ?? null);
}

function grpcOptions(
  { compressionAlgorithms }: GrpcJs,
  { tls, keepalive, maxMessageSize, compressFrom, userAgent }: ChannelOptions,
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
    ...(compressFrom !== undefined && { "grpc.default_compression_algorithm": compressionAlgorithms.gzip }),
    ...(userAgent !== undefined && { "grpc.primary_user_agent": userAgent }),
    ...(keepalive !== undefined && {
      "grpc.keepalive_time_ms": keepalive.time,
      "grpc.keepalive_timeout_ms": keepalive.timeout,
      "grpc.keepalive_permit_without_calls": 1,
    }),
  };
}

/** One grpc-js channel, used below its Client: a call costs no emitter and no stack trace, and is read on demand. */
class GrpcJsTransport implements Transport {
  readonly #grpc: GrpcJs;
  readonly #channel: GrpcChannel;
  readonly #onFailing: () => void;
  #state: TransportState = "idle";
  /** While it is connecting. */
  #slowTimer: NodeJS.Timeout | undefined;
  #slow = false;

  constructor(grpc: GrpcJs, channel: GrpcChannel, onFailing: () => void) {
    this.#grpc = grpc;
    this.#channel = channel;
    this.#onFailing = onFailing;
    this.#watch();
  }

  get state(): TransportState {
    return this.#state === "connecting" && this.#slow ? "failing" : this.#state;
  }

  start(call: TransportCall, listener: TransportListener): TransportStream {
    checkPath(call.path);
    const metadata = this.#metadata(call.metadata);
    if (call.timeout !== undefined) metadata.set("grpc-timeout", timeoutText(call.timeout));
    if (call.previousAttempts > 0) metadata.set("grpc-previous-rpc-attempts", String(call.previousAttempts));
    const grpcCall = this.#channel.createCall(call.path, Number.POSITIVE_INFINITY, null, null, null);
    return new GrpcJsCall(grpcCall, metadata, call.compressFrom, listener);
  }

  close(): void {
    this.#channel.close();
  }

  /** @throws Error naming the entry that HTTP/2 cannot carry or that is the transport's own */
  #metadata(metadata: Metadata): GrpcMetadata {
    checkMetadata(metadata);
    const result = new this.#grpc.Metadata();
    for (const [name, value] of metadata)
      result.add(name, typeof value === "string" ? value : asBuffer(value));
    return result;
  }

  #watch(): void {
    const { connectivityState } = this.#grpc;
    const current = this.#channel.getConnectivityState(false);
    clearTimeout(this.#slowTimer);
    this.#slow = false;
    stateChanged();
    switch (current) {
      case connectivityState.READY:
        this.#state = "ready";
        break;
      case connectivityState.CONNECTING:
        this.#state = "connecting";
        this.#slowTimer = setTimeout(() => {
          this.#slow = true;
          stateChanged();
        }, connectTimeout).unref();
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

/** Both ends of one grpc-js call. */
class GrpcJsCall implements TransportStream {
  readonly #call: GrpcCall;
  readonly #listener: TransportListener;
  readonly #compressFrom: number;
  readonly #written: { readonly callback: () => void };
  /** The same for a message that is sent as it is. */
  readonly #plain: { readonly callback: () => void; readonly flags: number };
  #headers = false;
  #foreignType: string | undefined;
  #ended = false;

  constructor(
    call: GrpcCall,
    metadata: GrpcMetadata,
    compressFrom: number | undefined,
    listener: TransportListener,
  ) {
    this.#call = call;
    this.#compressFrom = compressFrom ?? Number.POSITIVE_INFINITY;
    this.#listener = listener;
    this.#written = {
      callback: () => {
        if (!this.#ended) listener.onWritten();
      },
    };
    this.#plain = { ...this.#written, flags: noCompress };
    call.start(metadata, this);
  }

  send(message: Uint8Array): void {
    const context = message.length < this.#compressFrom ? this.#plain : this.#written;
    this.#call.sendMessageWithContext(context, asBuffer(message));
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
      // The end of the call has the HTTP status, which is more specific than the content type.
      this.#foreignType = contentType === undefined ? "" : String(contentType);
    }
  }

  onReceiveMessage(message: Buffer): void {
    if (this.#ended) return;
    if (this.#foreignType === undefined) {
      this.#listener.onMessage(message);
    } else {
      this.cancel();
      this.#listener.onEnd(contentTypeFailure(this.#foreignType));
    }
  }

  onReceiveStatus(status: StatusObject): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#listener.onEnd(grpcJsOutcome(status, { headers: this.#headers, foreignType: this.#foreignType }));
  }
}
