import type { RpcBinding } from "../bindings/binding.js";
import type { ProtocolName } from "../bindings/service-config.js";
import type { HeaderList } from "../net/headers.js";
import type { InboundRequest } from "../server/inbound-request.js";
import type { Failure } from "../status/failure.js";
import type { Metadata } from "../upstream/channel.js";

/** A protocol for RPC over HTTP. One value for each, without state. */
export interface Protocol {
  readonly name: ProtocolName;
  /** Whether a request uses it, by its method and headers alone. */
  accepts(request: InboundRequest): boolean;
  /**
   * Begins one call.
   * @param variables values of the template's variables, raw; empty on the path of the RPC
   * @throws GatewayError where the head of the request is not valid in this protocol
   */
  open(request: InboundRequest, binding: RpcBinding, variables: readonly string[]): ProtocolCall;
  /**
   * The whole response to a request that fails before any of its response was sent, also one that has no route.
   * @param metadata of the backend: `headers` initial, `trailers` trailing
   * @param render the JSON text of a detail as an Any
   */
  failure(
    request: InboundRequest,
    failure: Failure,
    metadata: CallMetadata,
    render: RenderDetail,
  ): ProtocolResponse;
}

/** As `Codecs.renderAny`. */
export type RenderDetail = (typeUrl: string, value: Uint8Array) => string;

export interface CallMetadata {
  readonly headers: Metadata;
  readonly trailers: Metadata;
}

/** One call as its protocol sees it: requests come in by `reader`, responses leave by `format`. */
export interface ProtocolCall {
  /** Milliseconds that the client gives the call, above 0; undefined where it sets no limit. */
  readonly timeoutMs: number | undefined;
  readonly reader: MessageReader;
  readonly format: ResponseFormat;
}

/** Takes one request message. @returns where the next one has to wait: for this promise, which never rejects */
export type EmitMessage = (message: Uint8Array) => Promise<void> | undefined;

/** Takes request messages, as the backend gets them, out of the bytes of a body. */
export interface MessageReader {
  /**
   * Calls `emit` for each message that is complete, in order, before it returns or its promise resolves; not called
   * again before that.
   * @param chunk the reader's to keep
   * @throws (or rejects with) GatewayError or TranscodeError where the bytes are malformed or a message is too large
   */
  push(chunk: Uint8Array, emit: EmitMessage): void | Promise<void>;
  /** The body is complete. @throws as `push`, also where it ends within a message */
  end(emit: EmitMessage): void | Promise<void>;
}

/** Writes the responses of one call. If its methods throw, the response ends as INTERNAL. */
export interface ResponseFormat {
  /** The response to a call of a unary method, when it has ended OK. */
  whole(message: Uint8Array, metadata: CallMetadata): ProtocolResponse | Promise<ProtocolResponse>;
  /** True where the head depends on the first message: it is not sent before that. */
  readonly headNeedsMessage?: true;
  /**
   * The head of a stream.
   * @param headers initial metadata, empty where none came
   * @param first undefined where the head is needed before there is a message, or the stream has none
   */
  head(headers: Metadata, first: Uint8Array | undefined): StreamHead;
  /** The bytes before the first message of a stream; sent with the head. */
  readonly prefix?: BodyPart;
  /** The part of the body for one message of a stream. */
  message(message: Uint8Array): BodyPart | Promise<BodyPart>;
  /** The end of a stream that ended OK. */
  end(trailers: Metadata): StreamEnd;
  /**
   * The end of a stream that fails after its head; undefined where the body cannot carry it, and is cut off.
   * @param body the error in the dialect of the binding, JSON text
   */
  fail(failure: Failure, trailers: Metadata, body: () => string): StreamEnd | undefined;
  /** Heartbeat of an idle stream, for clients and proxies with an idle timeout; the head is sent before it. */
  readonly heartbeat?: { readonly body: BodyPart; readonly intervalMs: number };
}

/** Text is sent in UTF-8. */
export type BodyPart = string | Uint8Array;

export interface StreamHead {
  readonly status: number;
  /** The receiver's: it adds to them. */
  readonly headers: [name: string, value: string][];
}

/** A whole response. */
export interface ProtocolResponse extends StreamHead {
  readonly body: BodyPart;
  /** HTTP trailers; absent for none. */
  readonly trailers?: HeaderList;
}

export interface StreamEnd {
  /** The last part of the body; absent for none. */
  readonly body?: BodyPart;
  /** HTTP trailers; absent for none. */
  readonly trailers?: HeaderList;
}
