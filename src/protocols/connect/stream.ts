import type { RpcBinding } from "../../bindings/binding.js";
import type { ForwardedName } from "../../bindings/forwarded-name.js";
import type { InboundRequest } from "../../server/inbound-request.js";
import type { Failure } from "../../status/failure.js";
import type { Metadata } from "../../upstream/channel.js";
import { compresses, encodingOf } from "../compression.js";
import { envelope } from "../envelope.js";
import { requireReadType } from "../media-type.js";
import { EnvelopedMessages, messageEnvelope } from "../messages.js";
import { addMetadata } from "../metadata.js";
import type {
  CallMetadata,
  ProtocolCall,
  ProtocolResponse,
  ResponseFormat,
  StreamEnd,
  StreamHead,
} from "../protocol.js";
import { type MessageCodec, messageCodec } from "./codec.js";
import { codeMetadata, errorJson } from "./error.js";

/** What the media types of streams begin with. */
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
    reader: new EnvelopedMessages(encoding, binding.bodyLimit, message => codec.read(message)),
    format: new StreamFormat(
      codec,
      binding.route.policy.responseNames,
      compresses(encoding, request.header("connect-accept-encoding")),
    ),
  };
}

/** The last envelope of a stream. */
export function endEnvelope(
  failure: Failure | undefined,
  trailers: readonly (readonly [string, string])[],
): Buffer {
  const members: string[] = [];
  if (failure !== undefined) members.push(`"error":${errorJson(failure)}`);
  if (trailers.length > 0) members.push(`"metadata":${metadataJson(trailers)}`);
  return envelope(endFlag, Buffer.from(`{${members.join(",")}}`, "utf8"));
}

function metadataJson(fields: readonly (readonly [string, string])[]): string {
  const values = new Map<string, string[]>();
  for (const [name, value] of fields) {
    const known = values.get(name);
    if (known === undefined) values.set(name, [value]);
    else known.push(value);
  }
  const members = [...values].map(([name, list]) => `${JSON.stringify(name)}:${JSON.stringify(list)}`);
  return `{${members.join(",")}}`;
}

class StreamFormat implements ResponseFormat {
  readonly #codec: MessageCodec;
  readonly #names: readonly ForwardedName[];
  readonly #compress: boolean;

  constructor(codec: MessageCodec, names: readonly ForwardedName[], compress: boolean) {
    this.#codec = codec;
    this.#names = names;
    this.#compress = compress;
  }

  async whole(message: Uint8Array, { headers, trailers }: CallMetadata): Promise<ProtocolResponse> {
    const { status, headers: fields } = this.head(headers);
    const end: [string, string][] = [];
    addMetadata(end, trailers, this.#names);
    const body = Buffer.concat([await this.message(message), endEnvelope(undefined, end)]);
    return { status, headers: fields, body };
  }

  head(headers: Metadata): StreamHead {
    const fields: [string, string][] = [["content-type", streamPrefix + this.#codec.name]];
    if (this.#compress) fields.push(["connect-content-encoding", "gzip"]);
    addMetadata(fields, headers, this.#names);
    return { status: 200, headers: fields };
  }

  message(message: Uint8Array): Uint8Array | Promise<Uint8Array> {
    return messageEnvelope(this.#codec.write(message), this.#compress);
  }

  end(trailers: Metadata): StreamEnd {
    const fields: [string, string][] = [];
    addMetadata(fields, trailers, this.#names);
    return { body: endEnvelope(undefined, fields) };
  }

  fail(failure: Failure, trailers: Metadata): StreamEnd {
    const fields = codeMetadata(failure);
    addMetadata(fields, trailers, this.#names);
    return { body: endEnvelope(failure, fields) };
  }
}
