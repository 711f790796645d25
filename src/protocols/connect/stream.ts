import type { RpcBinding } from "../../bindings/binding.js";
import type { HeaderList } from "../../net/headers.js";
import type { InboundRequest } from "../../server/inbound-request.js";
import type { Failure } from "../../status/failure.js";
import type { Metadata } from "../../upstream/channel.js";
import { compresses, encodingOf } from "../compression.js";
import { envelope } from "../envelope.js";
import { requireReadType } from "../media-type.js";
import { messageEnvelope, plainMessages } from "../messages.js";
import type { CallMetadata, ProtocolCall, ProtocolResponse, RenderDetail, StreamEnd } from "../protocol.js";
import { type FormatOptions, RpcFormat } from "../rpc-format.js";
import { type MessageCodec, messageCodec } from "./codec.js";
import { codeMetadata, errorJson } from "./error.js";

/** The prefix of the media types of streams. */
export const streamPrefix = "application/connect+";
const readTypes: ReadonlySet<string> = new Set([`${streamPrefix}proto`, `${streamPrefix}json`]);

/** Flag of the last envelope, which holds error and trailing metadata as JSON. */
const endFlag = 2;

/** @throws GatewayError UNSUPPORTED_MEDIA_TYPE, UNSUPPORTED_ENCODING */
export function openStream(
  request: InboundRequest,
  binding: RpcBinding,
): Pick<ProtocolCall, "reader" | "format"> {
  const type = requireReadType(request.header("content-type") ?? "", readTypes);
  const codec = messageCodec(type.slice(streamPrefix.length), binding) as MessageCodec;
  const encoding = encodingOf(
    request.header("connect-content-encoding"),
    "connect-content-encoding",
    "connect-accept-encoding",
  );
  return {
    reader: plainMessages(encoding, binding.bodyLimit, message => codec.read(message)),
    format: new StreamFormat(codec, (url, value) => binding.canonical.renderAny(url, value), {
      contentType: type,
      names: binding.route.policy.responseNames,
      compress: compresses(encoding, request.header("connect-accept-encoding")),
    }),
  };
}

/** The last envelope of a stream. @param error JSON; undefined where it has ended OK */
export function endEnvelope(error: string | undefined, trailers: HeaderList): Buffer {
  const members: string[] = [];
  if (error !== undefined) members.push(`"error":${error}`);
  if (trailers.length > 0) members.push(`"metadata":${metadataJson(trailers)}`);
  return envelope(endFlag, Buffer.from(`{${members.join(",")}}`, "utf8"));
}

function metadataJson(fields: HeaderList): string {
  const values = new Map<string, string[]>();
  for (const [name, value] of fields) {
    const known = values.get(name);
    if (known === undefined) values.set(name, [value]);
    else known.push(value);
  }
  const members = [...values].map(([name, list]) => `${JSON.stringify(name)}:${JSON.stringify(list)}`);
  return `{${members.join(",")}}`;
}

class StreamFormat extends RpcFormat {
  protected readonly encodingHeader = "connect-content-encoding";
  readonly #codec: MessageCodec;
  readonly #render: RenderDetail;

  constructor(codec: MessageCodec, render: RenderDetail, options: FormatOptions) {
    super(options);
    this.#codec = codec;
    this.#render = render;
  }

  async whole(message: Uint8Array, { headers, trailers }: CallMetadata): Promise<ProtocolResponse> {
    const { status, headers: fields } = this.head(headers);
    const end = endEnvelope(undefined, this.withTrailers([], trailers));
    return { status, headers: fields, body: Buffer.concat([await this.message(message), end]) };
  }

  message(message: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const bytes = this.#codec.write(message);
    return bytes instanceof Promise
      ? bytes.then(each => messageEnvelope(each, this.compress))
      : messageEnvelope(bytes, this.compress);
  }

  end(trailers: Metadata): StreamEnd {
    return { body: endEnvelope(undefined, this.withTrailers([], trailers)) };
  }

  fail(failure: Failure, trailers: Metadata): StreamEnd {
    const fields = this.withTrailers(codeMetadata(failure), trailers);
    return { body: endEnvelope(errorJson(failure, this.#render), fields) };
  }
}
