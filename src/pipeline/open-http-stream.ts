import type { RpcBinding } from "../bindings/binding.js";
import { responseHeaders } from "../protocols/response-metadata.js";
import { isLines, openRestStream } from "../protocols/rest/rest-stream.js";
import type { RequestContext } from "./context.js";
import { failureResponse, protocolFailure } from "./failure-response.js";
import { HttpStream } from "./http-stream.js";
import { bodyRoom } from "./protocol-call.js";
import { bodyLimitOf, requireReadable, requireUncompressedBody } from "./request-body.js";
import { errorBody, longestStreamMs, type StreamServices, streamCall } from "./stream-call.js";
import { clientTimeout } from "./timeout.js";

/**
 * Opens a call that streams. `RequestEnd` finishes the request after any outcome.
 * @throws GatewayError where the head of the request is not acceptable
 */
export function openHttpStream(
  context: RequestContext,
  binding: RpcBinding,
  variables: readonly string[],
  services: StreamServices,
): void {
  const { request, response, routes } = context;
  const { route } = binding;
  const { protocol } = context;
  if (protocol === undefined && request.hasBody) {
    if (route.rpc.clientStreaming && isLines(request.header("content-type") ?? ""))
      requireUncompressedBody(request);
    else requireReadable(request, binding, routes.origins);
  }
  const call =
    protocol === undefined
      ? openRestStream(request, binding, variables)
      : protocol.open(request, binding, variables);
  const longest = longestStreamMs(binding);
  const timeout =
    protocol === undefined ? clientTimeout(request, longest) : Math.min(call.timeoutMs ?? longest, longest);
  const stream = new HttpStream(
    {
      request,
      response,
      call,
      bodyLimit: protocol === undefined ? bodyLimitOf(binding, request) : bodyRoom(binding.bodyLimit),
      ownHeaders: headers => services.end.complete(context, headers),
      failed: (failure, metadata, detail) => {
        if (protocol !== undefined) return protocolFailure(context, protocol, failure, detail, metadata);
        const { headers, trailers } = metadata;
        const fields = responseHeaders(route.policy.responseNames, headers, trailers);
        return failureResponse(context, failure, fields, detail);
      },
      errorBody: failure => errorBody(context, binding, failure),
      received: bytes => {
        context.requestBytes += bytes;
      },
      sent: bytes => {
        context.responseBytes += bytes;
      },
      respond: whole => {
        services.streams.delete(stream.rpc);
        services.end.respond(context, whole);
      },
      finish: outcome => {
        services.streams.delete(stream.rpc);
        services.end.finish(context, outcome);
      },
    },
    streamCall(context, binding, services, timeout),
  );
  context.streamed = true;
  services.streams.add(stream.rpc, routes);
  stream.start();
}
