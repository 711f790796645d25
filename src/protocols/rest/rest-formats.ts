import type { RpcBinding } from "../../bindings/binding.js";
import type { StreamForm, StreamPlan } from "../../bindings/stream-config.js";
import type { ResponseBody } from "../../codec/wire-to-json/response.js";
import { type InboundRequest, noBody } from "../../server/inbound-request.js";
import type { Failure } from "../../status/failure.js";
import { type Metadata, noMetadata } from "../../upstream/channel.js";
import type {
  BodyPart,
  CallMetadata,
  ProtocolResponse,
  ResponseFormat,
  StreamEnd,
  StreamHead,
} from "../protocol.js";
import { isNotModified, responseHeaders, successStatus } from "../response-metadata.js";

/**
 * The response to a call that has ended OK with one message.
 * @throws (or rejects with) TranscodeError where the bytes are not that message
 */
export function wholeResponse(
  { route: { response, policy } }: RpcBinding,
  request: InboundRequest,
  message: Uint8Array,
  { headers, trailers }: CallMetadata,
): ProtocolResponse | Promise<ProtocolResponse> {
  const fields = responseHeaders(policy.responseNames, headers, trailers);
  if (isNotModified(request, fields)) return { status: 304, headers: fields, body: noBody };
  const chosen =
    policy.successStatus === undefined ? undefined : successStatus(policy.successStatus, [trailers, headers]);
  const status = chosen ?? (response.empty ? policy.emptyStatus : 200);
  // RFC 9110 §15.3.5, §15.3.6: no content, and no header of any.
  if (status === 204 || status === 205) return { status, headers: fields, body: noBody };
  const decoded = response.decodeInTurns(message);
  return decoded instanceof Promise
    ? decoded.then(body => withBody(status, fields, body))
    : withBody(status, fields, decoded);
}

function withBody(
  status: number,
  headers: ProtocolResponse["headers"],
  { contentType, body }: ResponseBody,
): ProtocolResponse {
  headers.unshift(["content-type", contentType]);
  return { status, headers, body };
}

/** Common to all forms of a REST stream. */
abstract class RestFormat implements ResponseFormat {
  protected readonly binding: RpcBinding;
  readonly #request: InboundRequest;
  protected abstract readonly contentType: string;

  constructor(binding: RpcBinding, request: InboundRequest) {
    this.binding = binding;
    this.#request = request;
  }

  whole(message: Uint8Array, metadata: CallMetadata): ProtocolResponse | Promise<ProtocolResponse> {
    return wholeResponse(this.binding, this.#request, message, metadata);
  }

  head(headers: Metadata, first: Uint8Array | undefined): StreamHead {
    const { policy } = this.binding.route;
    const fields = responseHeaders(policy.responseNames, headers, noMetadata);
    if (isNotModified(this.#request, fields)) return { status: 304, headers: fields };
    const chosen = policy.successStatus && successStatus(policy.successStatus, [headers]);
    fields.unshift(["content-type", this.typeOf(first)]);
    return { status: chosen || 200, headers: fields };
  }

  abstract message(message: Uint8Array): BodyPart | Promise<BodyPart>;

  end(trailers: Metadata): StreamEnd {
    const fields = responseHeaders(this.binding.route.policy.responseNames, noMetadata, trailers);
    return fields.length === 0 ? {} : { trailers: fields };
  }

  abstract fail(failure: Failure, trailers: Metadata, body: () => string): StreamEnd | undefined;

  protected typeOf(_first: Uint8Array | undefined): string {
    return this.contentType;
  }

  /** The JSON of a message between two texts. */
  protected json(before: string, message: Uint8Array, after: string): BodyPart | Promise<BodyPart> {
    const decoded = this.binding.route.response.decodeInTurns(message);
    if (decoded instanceof Promise) return decoded.then(({ body }) => `${before}${body}${after}`);
    return `${before}${decoded.body}${after}`;
  }
}

/** One JSON array; a failure is its last element. */
class ArrayFormat extends RestFormat {
  protected readonly contentType = "application/json";
  readonly prefix = "[";
  #first = true;

  message(message: Uint8Array): BodyPart | Promise<BodyPart> {
    const part = this.json(this.#first ? "" : ",", message, "");
    this.#first = false;
    return part;
  }

  override end(trailers: Metadata): StreamEnd {
    return { ...super.end(trailers), body: "]" };
  }

  fail(_failure: Failure, _trailers: Metadata, body: () => string): StreamEnd {
    return { body: `${this.#first ? "" : ","}{"error":${body()}}]` };
  }
}

/** One line of JSON for each message (NDJSON). */
class LineFormat extends RestFormat {
  protected readonly contentType: string = "application/x-ndjson";

  message(message: Uint8Array): BodyPart | Promise<BodyPart> {
    return this.json("", message, "\n");
  }

  fail(_failure: Failure, _trailers: Metadata, body: () => string): StreamEnd {
    return { body: `{"error":${body()}}\n` };
  }
}

/** The lines that grpc-gateway sends. */
class GrpcGatewayFormat extends LineFormat {
  protected override readonly contentType = "application/json";

  override message(message: Uint8Array): BodyPart | Promise<BodyPart> {
    return this.json('{"result":', message, "}\n");
  }
}

/** Server-sent events (HTML standard, section 9.2). JSON has no line ends, so that the data of an event is one line. */
class EventFormat extends RestFormat {
  protected readonly contentType = "text/event-stream";
  readonly prefix: string;
  readonly heartbeat: { readonly body: string; readonly intervalMs: number };
  readonly #plan: StreamPlan;

  constructor(binding: RpcBinding, request: InboundRequest, plan: StreamPlan) {
    super(binding, request);
    this.#plan = plan;
    // Something has to be sent with the head: some proxies and clients wait for the first bytes of a body.
    this.prefix = plan.retryMs === undefined ? ":\n\n" : `retry:${Math.round(plan.retryMs)}\n\n`;
    this.heartbeat = { body: ":\n\n", intervalMs: plan.heartbeatMs };
  }

  override head(headers: Metadata, first: Uint8Array | undefined): StreamHead {
    const head = super.head(headers, first);
    // Proxies keep neither the events nor any part of them.
    head.headers.push(["cache-control", "no-cache"], ["x-accel-buffering", "no"]);
    return head;
  }

  message(message: Uint8Array): BodyPart | Promise<BodyPart> {
    const { id, event } = this.#plan;
    const idLine = id === undefined ? "" : `id:${fieldText(id.decode(message).body)}\n`;
    const eventLine = event === undefined ? "" : `event:${fieldText(event.decode(message).body)}\n`;
    return this.json(`${idLine}${eventLine}data:`, message, "\n\n");
  }

  fail(_failure: Failure, _trailers: Metadata, body: () => string): StreamEnd {
    return { body: `event:error\ndata:{"error":${body()}}\n\n` };
  }
}

/** The value of a field from its JSON text, on one line; a NUL would make clients ignore an `id`. */
function fieldText(json: BodyPart): string {
  const value: unknown = JSON.parse(String(json));
  return typeof value === "string" ? value.replace(/[\r\n\0]/g, " ") : String(value);
}

/** The bytes of `google.api.HttpBody` messages, with the content type of the first. */
class RawFormat extends RestFormat {
  protected readonly contentType = "application/octet-stream";
  readonly headNeedsMessage = true;

  message(message: Uint8Array): Uint8Array {
    return this.binding.route.response.decode(message).body as Uint8Array;
  }

  /** In the body a failure could not be distinguished from content. */
  fail(): undefined {
    return undefined;
  }

  protected override typeOf(first: Uint8Array | undefined): string {
    return first === undefined ? this.contentType : this.binding.route.response.decode(first).contentType;
  }
}

/** @param form the form that the client accepts; undefined where the body is raw, or the response one message */
export function restFormat(
  binding: RpcBinding,
  request: InboundRequest,
  form: StreamForm | undefined,
): ResponseFormat {
  switch (form) {
    case undefined:
      return new RawFormat(binding, request);
    case "array":
      return new ArrayFormat(binding, request);
    case "ndjson":
      return new LineFormat(binding, request);
    case "grpc-gateway":
      return new GrpcGatewayFormat(binding, request);
    case "sse":
      return new EventFormat(binding, request, binding.route.stream as StreamPlan);
  }
}
