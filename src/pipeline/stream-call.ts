import type { RpcBinding } from "../bindings/binding.js";
import type { InboundRequest } from "../server/inbound-request.js";
import { type Failure, gatewayError } from "../status/failure.js";
import type { StreamMetrics } from "../telemetry/stream-metrics.js";
import type { PassedEncodings } from "../upstream/channel.js";
import type { ReadonlyContext } from "./context.js";
import { callMetadata } from "./metadata.js";
import type { OpenStreams } from "./open-streams.js";
import type { RequestEnd } from "./request-end.js";
import type { RpcStreamOptions } from "./rpc-stream.js";
import { callTrace } from "./trace.js";
import { checkMessage } from "./transcode.js";

/** The parts of the pipeline that all streams use. */
export interface StreamServices {
  readonly metrics: StreamMetrics;
  readonly streams: OpenStreams;
  draining(): boolean;
  /** Milliseconds for a client to send its request. */
  readonly requestTimeoutMs: number;
  readonly end: RequestEnd;
}

/** Most milliseconds of a stream of a method by the configuration. */
export function longestStreamMs({ route }: RpcBinding): number {
  return route.policy.streamTimeout ?? Number.POSITIVE_INFINITY;
}

/**
 * The call of a stream, the same over any carrier.
 * @param timeoutMs infinite where there is no deadline
 * @throws GatewayError STREAMING_NOT_SUPPORTED, INVALID_HEADER, CREDENTIALS_INVALID
 */
export function streamCall(
  context: ReadonlyContext,
  binding: RpcBinding,
  { metrics }: StreamServices,
  timeoutMs: number,
): RpcStreamOptions {
  if (!binding.channel.streams)
    throw gatewayError("STREAMING_NOT_SUPPORTED", "the method streams, which its upstream does not carry");
  const { passThrough, rpc } = binding.route;
  return {
    binding,
    path: passThrough ? methodPath(context.request.path) : rpc.path,
    passed: passThrough && passedEncodings(context.request),
    metadata: callMetadata(context, binding),
    timeoutMs: timeoutMs === Number.POSITIVE_INFINITY ? undefined : timeoutMs,
    cancellation: context.request.cancellation,
    trace: callTrace(context, binding),
    check: message => checkMessage(context, binding, message),
    metrics: metrics.route(binding.template.text, binding.method),
  };
}

/** @throws GatewayError ROUTE_NOT_FOUND where no method can be called so: policies compare paths as they are sent on */
function methodPath(path: string): string {
  if (/^\/[\w.]+\/[A-Za-z_]\w*$/.test(path)) return path;
  throw gatewayError("ROUTE_NOT_FOUND", `no route for ${path.slice(0, 128)}`);
}

/** @throws GatewayError INVALID_HEADER */
function passedEncodings(request: InboundRequest): PassedEncodings {
  return {
    encoding: encodingHeader(request, "grpc-encoding"),
    accepted: encodingHeader(request, "grpc-accept-encoding"),
  };
}

function encodingHeader(request: InboundRequest, name: string): string | undefined {
  const value = request.header(name);
  if (value === undefined || /^[\x20-\x7e]{1,256}$/.test(value)) return value;
  throw gatewayError("INVALID_HEADER", `header "${name}" must be at most 256 characters of printable ASCII`);
}

/** The body of an error in the dialect of the binding, for streams that end in band. */
export function errorBody(
  { request, routes, requestId }: ReadonlyContext,
  { dialect }: RpcBinding,
  failure: Failure,
): string {
  const details = failure.details.map(each => routes.renderDetail(each.typeUrl, each.value));
  return dialect.renderFailure(failure, details, { requestId, path: request.path }).body;
}
