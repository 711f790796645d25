import type { RpcBinding } from "../../bindings/binding.js";
import { compress } from "../../net/gzip.js";
import { whenReady } from "../../net/when-ready.js";
import type { InboundRequest } from "../../server/inbound-request.js";
import { gatewayError } from "../../status/failure.js";
import {
  compresses,
  decompress,
  encodingOf,
  type MessageEncoding,
  worthCompressing,
} from "../compression.js";
import { requireReadType } from "../media-type.js";
import type {
  CallMetadata,
  EmitMessage,
  MessageReader,
  ProtocolCall,
  ProtocolResponse,
  ResponseFormat,
  StreamEnd,
} from "../protocol.js";
import { type FormatOptions, RpcFormat } from "../rpc-format.js";
import { type MessageCodec, messageCodec } from "./codec.js";
import { readGetParameters } from "./query.js";

type UnaryCall = Pick<ProtocolCall, "reader" | "format">;

const typePrefix = "application/";
const readTypes: ReadonlySet<string> = new Set(["application/proto", "application/json"]);

/** @throws GatewayError UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_ENCODING */
export function openPost(request: InboundRequest, binding: RpcBinding): UnaryCall {
  const type = requireReadType(request.header("content-type") ?? "", readTypes);
  const codec = messageCodec(type.slice(typePrefix.length), binding) as MessageCodec;
  const encoding = encodingOf(request.header("content-encoding"), "content-encoding", "accept-encoding");
  return {
    reader: new WholeMessage(encoding, binding.bodyLimit, codec),
    format: formatOf(request, binding, codec, encoding),
  };
}

/** @throws GatewayError MALFORMED_QUERY, UNSUPPORTED_VERSION, UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_ENCODING */
export function openGet(request: InboundRequest, binding: RpcBinding): UnaryCall {
  const { connect, encoding: name, compression, message } = readGetParameters(request.query);
  if (connect !== undefined && connect !== "v1")
    throw gatewayError(
      "UNSUPPORTED_VERSION",
      `connect=${connect.slice(0, 32)} is not supported; expected v1`,
    );
  if (name === undefined || message === undefined) {
    const missing = name === undefined ? "encoding" : "message";
    throw gatewayError("MALFORMED_QUERY", `the parameter "${missing}" is missing`);
  }
  const codec = messageCodec(name, binding);
  if (codec === undefined) {
    const text = `encoding=${name.slice(0, 32)} is not supported; expected proto or json`;
    throw gatewayError("UNSUPPORTED_MEDIA_TYPE", text);
  }
  const encoding = encodingOf(compression, "compression", "accept-encoding");
  const reader = new WholeMessage(encoding, binding.bodyLimit, codec);
  reader.push(message);
  return { reader, format: formatOf(request, binding, codec, encoding) };
}

/** A message that is the whole body. */
class WholeMessage implements MessageReader {
  readonly #encoding: MessageEncoding;
  readonly #limit: number;
  readonly #codec: MessageCodec;
  readonly #chunks: Uint8Array[] = [];

  /** @param limit bytes of the message, before and after it is decompressed */
  constructor(encoding: MessageEncoding, limit: number, codec: MessageCodec) {
    this.#encoding = encoding;
    this.#limit = limit;
    this.#codec = codec;
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
  }

  end(emit: EmitMessage): void | Promise<void> {
    const [first, second] = this.#chunks;
    const bytes = first !== undefined && second === undefined ? first : Buffer.concat(this.#chunks);
    if (bytes.length > this.#limit)
      throw gatewayError("BODY_TOO_LARGE", `the message is larger than the limit, ${this.#limit} bytes`);
    if (this.#encoding === "identity" || bytes.length === 0) {
      return this.#emit(bytes, emit);
    }
    const message = decompress(bytes, this.#limit);
    return message instanceof Promise
      ? message.then(each => this.#emit(each, emit))
      : this.#emit(message, emit);
  }

  #emit(bytes: Uint8Array, emit: EmitMessage): void | Promise<void> {
    const message = this.#codec.read(bytes);
    return whenReady(message, emit);
  }
}

function formatOf(
  request: InboundRequest,
  { route }: RpcBinding,
  codec: MessageCodec,
  encoding: MessageEncoding,
): ResponseFormat {
  return new UnaryFormat(codec, {
    contentType: typePrefix + codec.name,
    names: route.policy.responseNames,
    compress: compresses(encoding, request.header("accept-encoding")),
  });
}

class UnaryFormat extends RpcFormat {
  protected readonly encodingHeader = undefined;
  readonly #codec: MessageCodec;

  constructor(codec: MessageCodec, options: FormatOptions) {
    super(options);
    this.#codec = codec;
  }

  whole(
    message: Uint8Array,
    { headers, trailers }: CallMetadata,
  ): ProtocolResponse | Promise<ProtocolResponse> {
    const { status, headers: fields } = this.head(headers);
    this.withTrailers(fields, trailers, "trailer-");
    const body = this.#codec.write(message);
    return body instanceof Promise
      ? body.then(bytes => this.#respond(status, fields, bytes))
      : this.#respond(status, fields, body);
  }

  #respond(
    status: number,
    fields: [name: string, value: string][],
    body: Uint8Array,
  ): ProtocolResponse | Promise<ProtocolResponse> {
    if (!this.compress || !worthCompressing(body)) return { status, headers: fields, body };
    fields.push(["content-encoding", "gzip"], ["vary", "Accept-Encoding"]);
    const compressed = compress(body);
    return compressed instanceof Promise
      ? compressed.then(bytes => ({ status, headers: fields, body: bytes }))
      : { status, headers: fields, body: compressed };
  }

  message(message: Uint8Array): Uint8Array | Promise<Uint8Array> {
    return this.#codec.write(message);
  }

  end(): StreamEnd {
    return {};
  }

  fail(): StreamEnd {
    return {};
  }
}
