import { asBuffer } from "../../net/buffer.js";
import type { HeaderList } from "../../net/headers.js";
import { whenReady } from "../../net/when-ready.js";
import { type Failure, gatewayError } from "../../status/failure.js";
import type { Metadata } from "../../upstream/channel.js";
import { compresses, encodingOf } from "../compression.js";
import { envelope } from "../envelope.js";
import { failureFields, failureHeaders, grpcStatusOf } from "../grpc-status.js";
import { requireReadType } from "../media-type.js";
import { type EnvelopedMessages, messageEnvelope, plainMessages } from "../messages.js";
import { addMetadata } from "../metadata.js";
import type {
  CallMetadata,
  EmitMessage,
  MessageReader,
  Protocol,
  ProtocolResponse,
  StreamEnd,
} from "../protocol.js";
import { type FormatOptions, RpcFormat } from "../rpc-format.js";
import { parseGrpcTimeout, timeoutOf } from "../timeout.js";

const mediaType = "application/grpc-web";
const textType = `${mediaType}-text`;

const readTypes: ReadonlySet<string> = new Set([
  mediaType,
  `${mediaType}+proto`,
  textType,
  `${textType}+proto`,
]);

/** Flag of the last envelope, which holds the trailers as lines of text. */
const trailersFlag = 0x80;

/** gRPC-Web, binary and text (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md). */
export const grpcWeb: Protocol = {
  name: "grpc-web",

  accepts(request) {
    const type = request.header("content-type");
    if (type === undefined || !type.startsWith(mediaType) || request.method !== "POST") return false;
    const next = type[mediaType.length];
    return next === undefined || next === "+" || next === ";" || type.startsWith(textType);
  },

  open(request, { route, bodyLimit }) {
    const type = requireReadType(request.header("content-type") ?? "", readTypes);
    const encoding = encodingOf(request.header("grpc-encoding"), "grpc-encoding", "grpc-accept-encoding");
    const messages = plainMessages(encoding, bodyLimit);
    return {
      timeoutMs: timeoutOf(request.header("grpc-timeout"), "grpc-timeout", parseGrpcTimeout),
      reader: isText(type) ? new TextMessages(messages) : messages,
      format: new GrpcWebFormat({
        contentType: type,
        names: route.policy.responseNames,
        compress: compresses(encoding, request.header("grpc-accept-encoding")),
      }),
    };
  },

  failure(request, failure, { headers, trailers }): ProtocolResponse {
    const text = isText(request.header("content-type") ?? mediaType);
    const fields: [string, string][] = [["content-type", text ? textType : mediaType]];
    addMetadata(fields, headers);
    for (const field of failureHeaders(failure)) fields.push(field);
    const end = failureFields(failure, trailers);
    addMetadata(end, trailers);
    return {
      status: grpcStatusOf(failure),
      headers: fields,
      body: encoded(trailersEnvelope(end), text),
    };
  },
};

function isText(type: string): boolean {
  return type.startsWith(textType);
}

function encoded(bytes: Buffer, text: boolean): Buffer {
  return text ? Buffer.from(bytes.toString("base64"), "latin1") : bytes;
}

function trailersEnvelope(fields: HeaderList): Buffer {
  let lines = "";
  for (const [name, value] of fields) lines += `${name}: ${value}\r\n`;
  return envelope(trailersFlag, Buffer.from(lines, "latin1"));
}

/** Messages in base64. */
class TextMessages implements MessageReader {
  readonly #text = new Base64Reader();
  readonly #messages: EnvelopedMessages;

  constructor(messages: EnvelopedMessages) {
    this.#messages = messages;
  }

  push(chunk: Uint8Array, emit: EmitMessage): void | Promise<void> {
    return this.#messages.push(this.#text.push(asBuffer(chunk)), emit);
  }

  end(): void {
    this.#text.end();
    this.#messages.end();
  }
}

class GrpcWebFormat extends RpcFormat {
  protected readonly encodingHeader = "grpc-encoding";
  readonly #text: boolean;

  constructor(options: FormatOptions) {
    super(options);
    this.#text = isText(options.contentType);
  }

  whole(
    message: Uint8Array,
    { headers, trailers }: CallMetadata,
  ): ProtocolResponse | Promise<ProtocolResponse> {
    const { status, headers: fields } = this.head(headers);
    const end = this.#okEnvelope(trailers);
    const finish = (bytes: Buffer): ProtocolResponse => ({
      status,
      headers: fields,
      body: encoded(Buffer.concat([bytes, end]), this.#text),
    });
    const body = messageEnvelope(message, this.compress);
    return whenReady(body, finish);
  }

  message(message: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const bytes = messageEnvelope(message, this.compress);
    return bytes instanceof Promise
      ? bytes.then(each => encoded(each, this.#text))
      : encoded(bytes, this.#text);
  }

  end(trailers: Metadata): StreamEnd {
    return { body: encoded(this.#okEnvelope(trailers), this.#text) };
  }

  fail(failure: Failure, trailers: Metadata): StreamEnd {
    const fields = this.withTrailers(failureFields(failure, trailers), trailers);
    return { body: encoded(trailersEnvelope(fields), this.#text) };
  }

  #okEnvelope(trailers: Metadata): Buffer {
    return trailersEnvelope(this.withTrailers([["grpc-status", "0"]], trailers));
  }
}

const block = /^[A-Za-z0-9+/]*={0,2}$/;

/** Decodes base64 in the pieces in which it comes. Each part may be padded, as clients encode their messages one by one. */
export class Base64Reader {
  /** Characters that make no group of four yet. */
  #rest = "";

  /** @throws GatewayError MALFORMED_ENVELOPE */
  push(chunk: Buffer): Buffer {
    const text = this.#rest + chunk.toString("latin1");
    const whole = text.length - (text.length % 4);
    this.#rest = text.slice(whole);
    const parts: Buffer[] = [];
    for (let from = 0; from < whole; ) {
      const padding = text.indexOf("=", from);
      const to = padding < 0 || padding >= whole ? whole : padding - (padding % 4) + 4;
      const part = text.slice(from, to);
      if (!block.test(part)) throw malformed("is not base64");
      parts.push(Buffer.from(part, "base64"));
      from = to;
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  /** @throws GatewayError MALFORMED_ENVELOPE where the text ends within a group */
  end(): void {
    if (this.#rest !== "") throw malformed("ends within a group of four characters of base64");
  }
}

function malformed(what: string): Error {
  return gatewayError("MALFORMED_ENVELOPE", `the body ${what}`);
}
