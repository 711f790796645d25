import type { InboundRequest } from "../../server/inbound-request.js";
import { gatewayError } from "../../status/failure.js";
import { failureHeaders } from "../grpc-status.js";
import { bareType } from "../media-type.js";
import { addMetadata } from "../metadata.js";
import type { Protocol, ProtocolResponse } from "../protocol.js";
import { parseConnectTimeout, timeoutOf } from "../timeout.js";
import { codeMetadata, connectStatus, errorJson, isHttpFailure } from "./error.js";
import { endEnvelope, openStream, streamPrefix } from "./stream.js";
import { openGet, openPost } from "./unary.js";

/** Connect: unary, GET and streams (https://connectrpc.com/docs/protocol). */
export const connect: Protocol = {
  name: "connect",

  /** Only requests that cannot be REST: the same path may serve both. */
  accepts(request) {
    const { method, query } = request;
    if (method === "POST") {
      const type = request.header("content-type");
      if (type === undefined || !type.startsWith("application/")) return false;
      if (type.startsWith(streamPrefix)) return true;
      const bare = bareType(type);
      if (bare === "application/proto") return true;
      return bare === "application/json" && request.header("connect-protocol-version") !== undefined;
    }
    return (method === "GET" || method === "HEAD") && /(?:^|&)connect=v1(?:&|$)/.test(query);
  },

  open(request, binding) {
    const version = request.header("connect-protocol-version");
    if (version !== undefined && version !== "1") {
      const found = `connect-protocol-version "${version.slice(0, 32)}" is not supported; expected 1`;
      throw gatewayError("UNSUPPORTED_VERSION", found);
    }
    const { clientStreaming, serverStreaming } = binding.route.rpc;
    const post = request.method === "POST";
    const opened = !post
      ? openGet(request, binding)
      : clientStreaming || serverStreaming
        ? openStream(request, binding)
        : openPost(request, binding);
    const timeout = request.header("connect-timeout-ms");
    return { timeoutMs: timeoutOf(timeout, "connect-timeout-ms", parseConnectTimeout), ...opened };
  },

  failure(request, failure, { headers, trailers }, render): ProtocolResponse {
    const type = request.header("content-type") ?? "";
    const streams = request.method === "POST" && type.startsWith(streamPrefix) && !isHttpFailure(failure);
    const fields: [string, string][] = [["content-type", streams ? bareType(type) : "application/json"]];
    addMetadata(fields, headers);
    for (const field of failureHeaders(failure)) fields.push(field);
    if (streams) {
      const end = codeMetadata(failure);
      addMetadata(end, trailers);
      return { status: 200, headers: fields, body: endEnvelope(errorJson(failure, render), end) };
    }
    fields.push(...codeMetadata(failure));
    addMetadata(fields, trailers, undefined, "trailer-");
    return { status: connectStatus(failure), headers: fields, body: errorJson(failure, render) };
  },
};

/** Whether a request for a path that serves no REST is one of Connect though `connect.accepts` does not recognise it. */
export function isConnectWithoutRest(request: InboundRequest): boolean {
  const { method } = request;
  if (method === "GET" || method === "HEAD") return true;
  return method === "POST" && bareType(request.header("content-type") ?? "") === "application/json";
}
