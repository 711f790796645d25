import type { RpcBinding } from "../bindings/binding.js";
import type { ProtocolName } from "../bindings/service-config.js";
import type { InboundRequest } from "../server/inbound-request.js";
import { type GatewayError, gatewayError } from "../status/failure.js";
import { connect, isConnectWithoutRest } from "./connect/connect.js";
import { grpc } from "./grpc/grpc.js";
import { grpcWeb } from "./grpc-web/grpc-web.js";
import type { Protocol } from "./protocol.js";

const protocols: readonly Protocol[] = [grpc, grpcWeb, connect];

/** The protocol that a request certainly uses, on any path; undefined for REST and for unknown ones. */
export function protocolOf(request: InboundRequest): Protocol | undefined {
  for (const protocol of protocols) if (protocol.accepts(request)) return protocol;
  return undefined;
}

/** The protocol in which a request calls a binding; undefined for REST. */
export function protocolOn({ route }: RpcBinding, request: InboundRequest): Protocol | undefined {
  const { protocols: enabled, rest } = route;
  const protocol = protocolOf(request) ?? (!rest && isConnectWithoutRest(request) ? connect : undefined);
  return protocol !== undefined && enabled.includes(protocol.name) ? protocol : undefined;
}

const mediaTypes: Readonly<Record<ProtocolName, readonly string[]>> = {
  rest: [],
  connect: ["application/json", "application/proto"],
  "grpc-web": [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
  ],
  grpc: ["application/grpc", "application/grpc+proto"],
};

/** A request on the path of an RPC that no protocol of the binding reads. */
export function unreadableType({ route }: RpcBinding, request: InboundRequest): GatewayError {
  const { clientStreaming, serverStreaming } = route.rpc;
  const types = route.protocols.flatMap(name =>
    name === "connect" && (clientStreaming || serverStreaming)
      ? ["application/connect+json", "application/connect+proto"]
      : mediaTypes[name],
  );
  const list = types.join(", ");
  const type = request.header("content-type");
  const found =
    type === undefined ? "there is no content-type" : `content-type "${type.slice(0, 64)}" is not supported`;
  return gatewayError("UNSUPPORTED_MEDIA_TYPE", `${found}; expected one of ${list}`, [], {
    headers: [["accept-post", list]],
  });
}
