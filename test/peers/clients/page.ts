/** What a page of another origin runs: @connectrpc/connect-web and grpc-web. Bundled for the browser. */
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { GrpcWebClientBase, MethodDescriptor, type RpcError } from "grpc-web";
import { type KindsCall, type KindsOutcome, type KindsRequest, type KindsResponse, tag } from "./call.js";
import { callByConnect } from "./connect-client.js";
import { KindsSchema } from "./schema.js";

export type WebClientName =
  | "connect-web, Connect in JSON,"
  | "connect-web, Connect in protobuf by GET,"
  | "connect-web, gRPC-Web,"
  | "grpc-web in binary"
  | "grpc-web in text";

interface PageWindow {
  schema: KindsSchema;
  load(descriptors: string): void;
  call(name: WebClientName, baseUrl: string, call: KindsCall): Promise<KindsOutcome>;
  /** The backend has the call. */
  begun: () => void;
}

const page = globalThis as unknown as PageWindow;

page.load = descriptors => {
  page.schema = new KindsSchema(bytesOf(descriptors));
};

page.call = (name, baseUrl, call) => {
  const begun = (): Promise<void> =>
    new Promise(resolve => {
      page.begun = resolve;
    });
  switch (name) {
    case "connect-web, Connect in JSON,":
      return callByConnect(createConnectTransport({ baseUrl }), page.schema, call, begun);
    case "connect-web, Connect in protobuf by GET,": {
      const transport = createConnectTransport({ baseUrl, useBinaryFormat: true, useHttpGet: true });
      return callByConnect(transport, page.schema, call, begun);
    }
    case "connect-web, gRPC-Web,":
      return callByConnect(createGrpcWebTransport({ baseUrl }), page.schema, call, begun);
    case "grpc-web in binary":
      return callByGrpcWeb("binary", baseUrl, call, begun);
    case "grpc-web in text":
      return callByGrpcWeb("text", baseUrl, call, begun);
  }
};

function callByGrpcWeb(
  format: string,
  baseUrl: string,
  { method, requests, timeoutMs, cancelAfter }: KindsCall,
  begun: () => Promise<void>,
): Promise<KindsOutcome> {
  const { schema } = page;
  const client = new GrpcWebClientBase({ format });
  const path = `/peer.v1.KindsService/${method}`;
  const descriptor = new MethodDescriptor<KindsRequest, KindsResponse>(
    path,
    method === "Unary" ? "unary" : "server_streaming",
    Object as never,
    Object as never,
    (request: KindsRequest) => schema.encodeRequest(request),
    (bytes: Uint8Array) => schema.decodeResponse(bytes),
  );
  const metadata: Record<string, string> = { "x-request-tag": tag };
  if (timeoutMs !== undefined) metadata.deadline = String(Date.now() + timeoutMs);
  return new Promise(resolve => {
    const responses: KindsResponse[] = [];
    const [request = {}] = requests;
    let initial: string | undefined;
    let trailers: Record<string, string> = {};
    const finish = (failed?: Pick<RpcError, "code" | "message" | "metadata">): void => {
      const all = { ...trailers, ...failed?.metadata };
      const details = all["grpc-status-details-bin"];
      resolve({
        responses,
        code: failed?.code ?? 0,
        message: failed?.message ?? "",
        reason: details === undefined ? undefined : schema.reasonOf(bytesOf(details)),
        initial: initial ?? all["x-initial"],
        trailing: all["x-trailing"],
      });
    };
    const stream =
      method === "Unary"
        ? client.rpcCall(baseUrl + path, request, metadata, descriptor, (error, response) => {
            if (error === null) responses.push(response);
            finish(error ?? undefined);
          })
        : client.serverStreaming(baseUrl + path, request, metadata, descriptor);
    // A client that has cancelled hears nothing more.
    const cancel = (): void => {
      stream.cancel();
      finish({ code: 1, message: "", metadata: {} });
    };
    stream.on("metadata", received => {
      initial = received["x-initial"];
    });
    stream.on("status", status => {
      trailers = status.metadata ?? {};
    });
    if (method === "Server") {
      stream.on("data", response => {
        responses.push(response);
        if (responses.length === cancelAfter) cancel();
      });
      stream.on("error", error => finish(error));
      stream.on("end", () => finish());
    }
    if (cancelAfter === 0) void begun().then(cancel);
  });
}

function bytesOf(base64: string): Uint8Array {
  const padded = base64.padEnd(Math.ceil(base64.length / 4) * 4, "=");
  return Uint8Array.from(atob(padded), character => character.charCodeAt(0));
}
