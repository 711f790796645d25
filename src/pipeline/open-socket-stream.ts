import type { BoundRoutes, RpcBinding } from "../bindings/binding.js";
import { bearer, bearerToken } from "../net/bearer.js";
import { requireHandshake } from "../server/handshake.js";
import { type InboundRequest, noBody, type UpgradeRequest } from "../server/inbound-request.js";
import { gatewayError } from "../status/failure.js";
import type { RequestContext } from "./context.js";
import { ownHeaders } from "./request-end.js";
import { SocketStream } from "./socket-stream.js";
import { errorBody, longestStreamMs, type StreamServices, streamCall } from "./stream-call.js";
import { clientTimeout } from "./timeout.js";

/**
 * Refuses WebSockets that can be refused without knowing the caller.
 * @throws GatewayError WEBSOCKET_NOT_SUPPORTED, UPGRADE_REQUIRED, MALFORMED_REQUEST, ORIGIN_NOT_ALLOWED
 */
export function requireSocket(
  request: InboundRequest,
  { route }: RpcBinding,
  { origins }: BoundRoutes,
): void {
  const { fullName, clientStreaming, serverStreaming } = route.rpc;
  if (!clientStreaming && !serverStreaming) {
    const message = `${fullName} does not stream; send an ordinary ${route.method} request`;
    throw gatewayError("WEBSOCKET_NOT_SUPPORTED", message);
  }
  requireHandshake(name => request.header(name));
  origins.requireForSocket(request);
}

/**
 * Makes the connection of a request a WebSocket and opens a call over it. Earlier refusals are ordinary
 * responses: for path, query, headers, and the message where it is made of these alone.
 * @throws and rejects with GatewayError, TranscodeError
 */
export async function openSocketStream(
  context: RequestContext,
  binding: RpcBinding,
  variables: readonly string[],
  upgrade: UpgradeRequest,
  services: StreamServices,
): Promise<undefined> {
  const { request, routes } = context;
  const { route } = binding;
  if (services.draining())
    throw gatewayError("SHUTTING_DOWN", "the gateway is shutting down", [], { retryAfter: 1 });
  const timeout = clientTimeout(request, longestStreamMs(binding));
  const options = streamCall(context, binding, services, timeout);
  const first = route.frames.encode(variables, request.query, { contentType: "", bytes: noBody });
  const whole = !route.rpc.clientStreaming && route.body.kind === "none";
  if (whole) options.check(first);
  upgrade.watch();
  const headers = ownHeaders(context, []);
  const offersToken = bearerToken(request.header("sec-websocket-protocol")) !== undefined;
  const opened = await upgrade.open(
    offersToken ? [...headers, ["sec-websocket-protocol", bearer]] : headers,
    binding.bodyLimit,
    socket => {
      const stream = new SocketStream(
        socket,
        {
          variables,
          query: request.query,
          requestTimeoutMs: services.requestTimeoutMs,
          errorBody: failure => errorBody(context, binding, failure),
          received: bytes => {
            context.requestBytes += bytes;
          },
          sent: bytes => {
            context.responseBytes += bytes;
          },
          finish: (failure, detail) => {
            services.streams.delete(stream.rpc);
            services.end.finish(context, { status: 101, ...(failure && { failure }), detail });
          },
        },
        options,
      );
      context.streamed = true;
      services.streams.add(stream.rpc, routes);
      stream.start(whole ? first : undefined);
      return stream;
    },
  );
  if (!opened) throw gatewayError("CLIENT_CLOSED", "the client disconnected before its socket was opened");
  return undefined;
}
