import type { ForwardedName } from "../../bindings/forwarded-name.js";
import { noBody } from "../../server/inbound-request.js";
import { type Failure, gatewayError } from "../../status/failure.js";
import type { Metadata } from "../../upstream/channel.js";
import { compresses, encodingOf } from "../compression.js";
import { failureFields, failureHeaders, grpcStatusOf } from "../grpc-status.js";
import { requireReadType } from "../media-type.js";
import { messageEnvelope, passedMessages, plainMessages } from "../messages.js";
import { addMetadata } from "../metadata.js";
import type {
  CallMetadata,
  Protocol,
  ProtocolCall,
  ProtocolResponse,
  StreamEnd,
  StreamHead,
} from "../protocol.js";
import { RpcFormat } from "../rpc-format.js";
import { parseGrpcTimeout, timeoutOf } from "../timeout.js";

const mediaType = "application/grpc";

/** Media types of messages that are protobuf. */
const readTypes: ReadonlySet<string> = new Set([mediaType, `${mediaType}+proto`]);

/** gRPC over HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
export const grpc: Protocol = {
  name: "grpc",

  accepts(request) {
    const type = request.header("content-type");
    if (type === undefined || !type.startsWith(mediaType) || request.method !== "POST") return false;
    const next = type[mediaType.length];
    return next === undefined || next === "+" || next === ";";
  },

  open(request, { route, bodyLimit }) {
    const type = requireReadType(request.header("content-type") ?? "", readTypes);
    if (request.version !== 2)
      throw gatewayError(
        "UNSUPPORTED_VERSION",
        "gRPC needs HTTP/2, since responses end with trailers; use gRPC-Web or Connect",
      );
    const timeoutMs = timeoutOf(request.header("grpc-timeout"), "grpc-timeout", parseGrpcTimeout);
    if (route.passThrough) return { timeoutMs, ...passThrough(type, bodyLimit, route.policy.responseNames) };
    const encoding = encodingOf(request.header("grpc-encoding"), "grpc-encoding", "grpc-accept-encoding");
    return {
      timeoutMs,
      reader: plainMessages(encoding, bodyLimit),
      format: new GrpcFormat({
        contentType: type,
        names: route.policy.responseNames,
        compress: compresses(encoding, request.header("grpc-accept-encoding")),
      }),
    };
  },

  failure(request, failure, { headers, trailers }): ProtocolResponse {
    const status = grpcStatusOf(failure);
    const fields: [string, string][] = [["content-type", mediaType]];
    addMetadata(fields, headers);
    for (const field of failureHeaders(failure)) fields.push(field);
    const end = failureFields(failure, trailers);
    addMetadata(end, trailers);
    // Where there is no initial metadata, all of it is in one block (Trailers-Only).
    if (headers.length === 0 || request.version !== 2)
      return { status, headers: [...fields, ...end], body: noBody };
    return { status, headers: fields, body: noBody, trailers: end };
  },
};

/** A call whose messages nothing in the gateway reads. */
function passThrough(
  type: string,
  limit: number,
  names: readonly ForwardedName[],
): Pick<ProtocolCall, "reader" | "format"> {
  return {
    reader: passedMessages(limit),
    format: new PassThroughFormat({ contentType: type, names, compress: false }),
  };
}

class GrpcFormat extends RpcFormat {
  protected readonly encodingHeader = "grpc-encoding";

  whole(
    message: Uint8Array,
    { headers, trailers }: CallMetadata,
  ): ProtocolResponse | Promise<ProtocolResponse> {
    const { status, headers: fields } = this.head(headers);
    const { trailers: end = [] } = this.end(trailers);
    const body = this.message(message);
    return body instanceof Promise
      ? body.then(bytes => ({ status, headers: fields, body: bytes, trailers: end }))
      : { status, headers: fields, body, trailers: end };
  }

  message(message: Uint8Array): Uint8Array | Promise<Uint8Array> {
    return messageEnvelope(message, this.compress);
  }

  end(trailers: Metadata): StreamEnd {
    return { trailers: this.withTrailers([["grpc-status", "0"]], trailers) };
  }

  fail(failure: Failure, trailers: Metadata): StreamEnd {
    return { trailers: this.withTrailers(failureFields(failure, trailers), trailers) };
  }
}

/** Writes envelopes as the backend sends them, with its encodings. */
class PassThroughFormat extends GrpcFormat {
  override head(headers: Metadata): StreamHead {
    const head = super.head(headers);
    for (const [name, value] of headers)
      if (typeof value === "string" && (name === "grpc-encoding" || name === "grpc-accept-encoding"))
        head.headers.push([name, value]);
    return head;
  }

  override message(message: Uint8Array): Uint8Array {
    return message;
  }
}
