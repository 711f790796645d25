import type { RpcBinding } from "../bindings/binding.js";
import { responseFailure, TranscodeError } from "../codec/error.js";
import type { MessageReader, ProtocolCall, ProtocolResponse } from "../protocols/protocol.js";
import { protocolOf, unreadableType } from "../protocols/protocols.js";
import type { InboundRequest } from "../server/inbound-request.js";
import { gatewayError } from "../status/failure.js";
import { callFailure } from "../upstream/call/call-failure.js";
import { statusDetail, type UnaryResult } from "../upstream/channel.js";
import type { HttpResponse, ReadonlyContext, RequestContext } from "./context.js";
import { failureResponse, protocolFailure, textResponse } from "./failure-response.js";
import { awaitBody } from "./request-body.js";

/** Bytes of a body with one message of at most `limit` bytes: it may be in base64, and in an envelope. The reader counts the message. */
export function bodyRoom(limit: number): number {
  return Math.ceil((limit + 16) / 3) * 4;
}

/**
 * The request message of a method that takes one.
 * @param limit bytes of the body
 * @param counted is given the bytes of the body
 * @throws (or rejects with) GatewayError, TranscodeError
 */
export function readMessage(
  request: InboundRequest,
  reader: MessageReader,
  limit: number,
  counted: (bytes: number) => void,
): Uint8Array | Promise<Uint8Array> {
  const body = request.body(limit);
  if (!(body instanceof Uint8Array)) {
    return awaitBody(body, limit).then(bytes => {
      counted(bytes.length);
      return onlyMessage(reader, bytes);
    });
  }
  counted(body.length);
  return onlyMessage(reader, body);
}

function onlyMessage(reader: MessageReader, body: Uint8Array): Uint8Array | Promise<Uint8Array> {
  let message: Uint8Array | undefined;
  const emit = (each: Uint8Array): undefined => {
    if (message !== undefined)
      throw gatewayError("MESSAGE_COUNT", "the method takes one request message, but there are several");
    message = each;
  };
  const one = (): Uint8Array => {
    if (message === undefined)
      throw gatewayError("MESSAGE_COUNT", "the method takes one request message, but there is none");
    return message;
  };
  const pushed = body.length === 0 ? undefined : reader.push(body, emit);
  if (pushed !== undefined) return pushed.then(() => reader.end(emit)).then(one);
  const ended = reader.end(emit);
  return ended === undefined ? one() : ended.then(one);
}

/** The result of a unary call as its protocol writes it. */
export function protocolResult(
  context: ReadonlyContext,
  binding: RpcBinding,
  { format }: ProtocolCall,
  result: UnaryResult,
): HttpResponse | Promise<HttpResponse> {
  const { protocol } = context;
  const { message, status } = result;
  if (message === undefined && protocol !== undefined) {
    const failure = callFailure(result, binding.route.policy.statusOf);
    return protocolFailure(context, protocol, failure, statusDetail(status), result);
  }
  const malformed = (error: unknown): HttpResponse => {
    if (!(error instanceof TranscodeError)) throw error;
    return failureResponse(context, responseFailure(), [], String(error));
  };
  let response: ProtocolResponse | Promise<ProtocolResponse>;
  try {
    response = format.whole(message as Uint8Array, result);
  } catch (error) {
    return malformed(error);
  }
  return response instanceof Promise ? response.catch(malformed) : response;
}

/** The response to a request on the path of an RPC in no protocol that is served there. */
export function unreadable(context: RequestContext, binding: RpcBinding): HttpResponse {
  const { request } = context;
  const { failure } = unreadableType(binding, request);
  context.protocol = protocolOf(request);
  return context.protocol === undefined
    ? textResponse(failure)
    : protocolFailure(context, context.protocol, failure);
}
