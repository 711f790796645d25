import type { RpcBinding } from "../bindings/binding.js";
import { responseHeaders } from "../protocols/response-metadata.js";
import { isLines, openRestStream } from "../protocols/rest/rest-stream.js";
import type { HeaderList } from "../server/response-writer.js";
import type { StreamMetrics } from "../telemetry/stream-metrics.js";
import type { HttpResponse, Outcome, RequestContext } from "./context.js";
import { failureResponse, protocolFailure } from "./failure-response.js";
import { HttpStream } from "./http-stream.js";
import { callMetadata } from "./metadata.js";
import type { OpenStreams } from "./open-streams.js";
import { bodyRoom } from "./protocol-call.js";
import { bodyLimitOf, requireReadable, requireUncompressedBody } from "./request-body.js";
import { clientTimeout } from "./timeout.js";
import { validate } from "./transcode.js";

/** What the pipeline does for all streams. */
export interface StreamServices {
  readonly metrics: StreamMetrics;
  readonly streams: OpenStreams;
  draining(): boolean;
  /** Adds the headers that every response carries. */
  ownHeaders(context: RequestContext, headers: [name: string, value: string][]): HeaderList;
  respond(context: RequestContext, response: HttpResponse): void;
  finish(context: RequestContext, outcome: Outcome): void;
}

/**
 * Opens a call that streams. The response, and the end of the request, come by the host.
 * @throws GatewayError where the head of the request is not acceptable
 */
export function openHttpStream(
  context: RequestContext,
  binding: RpcBinding,
  variables: readonly string[],
  host: StreamServices,
): void {
  const { request, response, routes, guardResult } = context;
  const { route, dialect } = binding;
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
  const longest = route.policy.streamTimeout ?? Number.POSITIVE_INFINITY;
  const timeout =
    protocol === undefined ? clientTimeout(request, longest) : Math.min(call.timeoutMs ?? longest, longest);
  const stream = new HttpStream(
    {
      request,
      response,
      call,
      bodyLimit: protocol === undefined ? bodyLimitOf(binding, request) : bodyRoom(binding.bodyLimit),
      ownHeaders: headers => host.ownHeaders(context, headers),
      failed: (failure, metadata, detail) => {
        if (protocol !== undefined) return protocolFailure(context, protocol, failure, detail, metadata);
        const { headers, trailers } = metadata;
        const fields = responseHeaders(route.policy.responseNames, headers, trailers);
        return failureResponse(context, failure, fields, detail);
      },
      errorBody: failure => {
        const details = failure.details.map(each => routes.renderDetail(each.typeUrl, each.value));
        const { requestId } = context;
        return dialect.renderFailure(failure, details, { requestId, path: request.path }).body;
      },
      received: bytes => {
        context.requestBytes += bytes;
      },
      sent: bytes => {
        context.responseBytes += bytes;
      },
      respond: whole => {
        host.streams.delete(stream.rpc);
        host.respond(context, whole);
      },
      finish: outcome => {
        host.streams.delete(stream.rpc);
        host.finish(context, outcome);
      },
    },
    {
      binding,
      metadata: callMetadata(context, binding),
      timeoutMs: timeout === Number.POSITIVE_INFINITY ? undefined : timeout,
      cancellation: request.cancellation,
      check: message => {
        validate(binding, message);
        if (guardResult !== undefined) binding.guard?.check(message, request.path, guardResult);
      },
      metrics: host.metrics.route(binding.template.text, binding.method),
    },
  );
  context.streamed = true;
  host.streams.add(stream.rpc, routes);
  stream.start();
}
