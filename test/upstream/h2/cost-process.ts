import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { Cancellation } from "../../../src/net/cancellation.js";
import { createChannel } from "../../../src/upstream/create-channel.js";
import type { TransportKind } from "../../../src/upstream/options.js";

const [role, transport, port] = process.argv.slice(2);
const reply = Buffer.concat([Buffer.from([0, 0, 0, 0, 32]), Buffer.alloc(32, 7)]);

if (role === "server") serve();
else await call(transport as TransportKind, Number(port));

function serve(): void {
  const server = createServer();
  server.on("stream", stream => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(reply);
    stream.resume();
  });
  server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));
}

async function call(kind: TransportKind, to: number): Promise<void> {
  const channel = createChannel({
    name: "cost",
    targets: [`127.0.0.1:${to}`],
    balancing: "pick_first",
    transport: kind,
    maxMessageSize: 1 << 20,
    userAgent: "protogate/0.0.0",
  });
  const cancellation = new Cancellation();
  const request = Buffer.alloc(32, 1);
  const unary = {
    path: "/test.Service/Unary",
    request,
    metadata: [["x-request-id", "0123456789abcdef"]],
    timeout: 60_000,
    retryable: false,
    cancellation,
  } as const;
  const run = async (calls: number) => {
    for (let index = 0; index < calls; index++) {
      const { status } = await channel.unary(unary);
      if (status.code !== 0) throw new Error(status.message);
    }
  };
  const measure = async (concurrency: number, calls: number) => {
    const before = process.cpuUsage();
    await Promise.all(Array.from({ length: concurrency }, () => run(calls / concurrency)));
    const { user, system } = process.cpuUsage(before);
    return (user + system) / calls;
  };
  await measure(10, 2_000);
  process.on("message", async ({ concurrency, calls }: { concurrency: number; calls: number }) => {
    process.send?.({ micros: await measure(concurrency, calls) });
  });
  process.send?.({});
}
