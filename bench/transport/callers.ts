import { connect } from "node:http2";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { Cancellation } from "../../src/net/cancellation.js";
import { createChannel } from "../../src/upstream/create-channel.js";
import type { TransportKind } from "../../src/upstream/options.js";

/** Hears of a call's end: of what failed, or of the reply. */
export type Done = (failure: string | undefined, reply: Uint8Array | undefined) => void;

/** Sends one unary call. */
export type Caller = (request: Buffer, done: Done) => void;

const path = "/bench.v1.BenchService/GetMessage";
const requestId = "0123456789abcdef0123456789abcdef";
/** Milliseconds. */
const timeout = 15_000;

/** Ways to call, each with the same metadata and deadline on the wire, over gRPC or tRPC; `target` is host:port. */
export const callers: Readonly<Record<string, (target: string) => Caller>> = {
  lean: target => channel("lean", target),
  trpc: target => channel("trpc", target),
  "grpc-js": target => channel("grpc-js", target),
  "grpc-js Client": client,
  "node:http2": http2,
};

/** As the gateway calls. */
function channel(transport: TransportKind, target: string): Caller {
  const upstream = createChannel({
    name: "bench",
    targets: [target],
    balancing: "round_robin",
    transport,
    maxMessageSize: 4 << 20,
    userAgent: "protogate/bench",
  });
  const metadata = [["x-request-id", requestId]] as const;
  return (request, done) => {
    const cancellation = new Cancellation();
    void upstream
      .unary({ path, request, metadata, timeout, retryable: false, cancellation })
      .then(({ status, message }) => done(status.code === 0 ? undefined : status.message, message));
  };
}

/** As one calls without generated code. */
function client(target: string): Caller {
  const upstream = new Client(target, credentials.createInsecure());
  const same = (bytes: Buffer): Buffer => bytes;
  return (request, done) => {
    const metadata = new Metadata();
    metadata.set("x-request-id", requestId);
    const deadline = Date.now() + timeout;
    upstream.makeUnaryRequest(path, same, same, request, metadata, { deadline }, (error, reply) =>
      done(error?.message, reply),
    );
  };
}

/** The least that can be done with Node's own HTTP/2: one session, no clock for the deadline, nothing retried. */
function http2(target: string): Caller {
  const session = connect(`http://${target}`);
  return (request, done) => {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      te: "trailers",
      "content-type": "application/grpc",
      "grpc-timeout": `${timeout}m`,
      "x-request-id": requestId,
    });
    const chunks: Buffer[] = [];
    let status: unknown;
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("trailers", trailers => {
      status = trailers["grpc-status"];
    });
    stream.on("end", () => {
      const failure = status === "0" ? undefined : `grpc-status ${String(status)}`;
      done(failure, Buffer.concat(chunks).subarray(5));
    });
    stream.on("error", (error: Error) => done(error.message, undefined));
    const message = Buffer.allocUnsafe(request.length + 5);
    message[0] = 0;
    message.writeUInt32BE(request.length, 1);
    request.copy(message, 5);
    stream.end(message);
  };
}
