import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { sseTransport } from "../../clients/js/src/fallback.js";
import { connectTo } from "../client/members.js";
import { engineUnderTest } from "../engine.js";
import { ask, EventStream } from "./event-stream.js";
import { startTestGateway } from "./harness.js";

/** A network before a gateway that ends without a word: nothing passes any more, no end of a connection either. */
async function startNetwork(
  t: TestContext,
  target: number,
): Promise<{ readonly port: number; vanish(): void }> {
  const sockets = new Set<Socket>();
  let passes = true;
  const server = createServer({ allowHalfOpen: true }, client => {
    const gateway = connect({ port: target, host: "127.0.0.1", allowHalfOpen: true });
    for (const [from, to] of [
      [client, gateway],
      [gateway, client],
    ] as const) {
      sockets.add(from);
      from.on("data", bytes => void (passes && to.write(bytes)));
      from.on("end", () => void (passes && to.end()));
      from.on("error", () => undefined);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const vanish = (): void => {
    passes = false;
  };
  return { port: (server.address() as AddressInfo).port, vanish };
}

describe(`clients of server-sent events that vanish (${engineUnderTest()})`, () => {
  test("a client that responds to pings is gone after the idle timeout when its network is, and no other", async t => {
    const gateway = await startTestGateway(
      "realtime: { path: /ws, transports: [websocket, sse], limits: { idle_timeout: 12s } }\nserver: { drain: 500ms }\n",
      {},
    );
    t.after(() => gateway.close());
    const { httpPort, admin } = gateway;
    const names = async (): Promise<readonly string[]> => {
      const response = await fetch(`${admin}/realtime/rooms/r/members`);
      const { members } = (await response.json()) as {
        readonly members: readonly { readonly from: string }[];
      };
      return members.map(({ from }) => from).sort();
    };
    const watcher = connectTo(t, httpPort).room("r", { from: "watcher" });
    const left: string[] = [];
    await watcher.join();
    const hasLeft = new Promise<void>(resolve => {
      watcher.on("leave", name => {
        left.push(name);
        resolve();
      });
    });
    // Silent from now on: it sends nothing of its own for 20 s.
    const present = connectTo(t, httpPort, { transports: [sseTransport()] });
    await present.room("r", { from: "present" }).join();
    let lost = 0;
    present.on("state", () => void lost++);

    const network = await startNetwork(t, httpPort);
    for (const [name, headers] of [
      ["listener", {}],
      ["vanished", { "protogate-pongs": "true" }],
    ] as const) {
      const stream = await EventStream.open(network.port, headers);
      await stream.say({ type: "join-room", room_id: "r", from: name, id: 1 });
      await stream.next({ id: 1 });
    }
    network.vanish();

    await hasLeft;
    assert.deepEqual(left, ["vanished"]);
    assert.deepEqual(await names(), ["listener", "present", "watcher"]);
    assert.equal(lost, 0);
    const metrics = await (await fetch(`${admin}/metrics`)).text();
    assert.match(metrics, /^protogate_ws_closes_total\{code="1006"\} 1$/m);
    assert.match(metrics, /^protogate_ws_fallback_connections\{transport="sse"\} 2$/m);
  });

  test("a request for a stream with another value of protogate-pongs is refused", async t => {
    const gateway = await startTestGateway(
      "realtime: { path: /ws, transports: [sse] }\nserver: { drain: 500ms }\n",
      {},
    );
    t.after(() => gateway.close());
    const headers = { accept: "text/event-stream", "protogate-pongs": "yes" };
    const { status, reason, text } = await ask(gateway.httpPort, "GET", headers);
    assert.deepEqual([status, reason], [400, "INVALID_HEADER"]);
    assert.match(text, /protogate-pongs: expected true/);
  });
});
