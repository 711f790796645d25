import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { WebSocket } from "ws";
import { missing, startNats, startRedis, type TestServer } from "../realtime/brokers/servers.js";
import { send, startTestGateway, type TestGateway } from "./harness.js";

const brokers = [
  { type: "redis", program: "redis-server", start: startRedis },
  { type: "nats", program: "nats-server", start: startNats },
] as const;

/** A member of a room who remembers what it was told. */
async function member(
  gateway: TestGateway,
  room: string,
  from: string,
): Promise<(text: string) => Promise<object>> {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.realtimePort}/ws`);
  const frames: { type: string; message?: string }[] = [];
  const looking = new Set<() => void>();
  socket.on("message", data => {
    frames.push(JSON.parse(String(data)));
    for (const look of looking) look();
  });
  await once(socket, "open");
  const found = (fits: (frame: { type: string; message?: string }) => boolean): Promise<object> =>
    new Promise(resolve => {
      const look = (): void => {
        const frame = frames.find(fits);
        if (frame === undefined) return;
        looking.delete(look);
        resolve(frame);
      };
      looking.add(look);
      look();
    });
  socket.send(JSON.stringify({ type: "join-room", room_id: room, from, id: 1 }));
  await found(({ type }) => type === "ack");
  return text => found(({ message }) => message === text);
}

for (const { type, program, start } of brokers) {
  describe(`two gateways that share their rooms through ${type}`, { skip: missing(program) }, () => {
    let server: TestServer;
    let nodes: TestGateway[] = [];
    before(async () => {
      server = await start();
      const yaml = `
realtime: { auth: none, broker: { type: ${type}, url: "${type}://127.0.0.1:${server.port}" } }
server: { drain: 100ms }
`;
      nodes = [await startTestGateway(yaml, {}), await startTestGateway(yaml, {})];
    });
    after(async () => {
      for (const node of nodes) await node.close();
      await server.close();
    });

    test("a message that a backend publishes at one gateway is delivered by the other, once for an id", async () => {
      const [one, other] = nodes as [TestGateway, TestGateway];
      const heard = [await member(one, "r", "ann"), await member(other, "r", "bob")];
      const post = { room: "r", from: "system", message: "hello", id: "m1" };
      const publish = () =>
        send(`${one.admin}/realtime/publish`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(post),
        });
      const first = await publish();
      assert.deepEqual([first.status, first.json.seq, first.json.duplicate], [200, 1, false]);
      assert.deepEqual((await publish()).json, { ...first.json, duplicate: true });
      for (const each of heard) {
        const { seq, epoch } = (await each("hello")) as { seq: number; epoch: string };
        assert.deepEqual({ seq, epoch }, { seq: 1, epoch: first.json.epoch });
      }
      const { messages } = (await send(`${other.admin}/realtime/rooms/r/history`)).json;
      assert.equal(messages.length, 1);
      // Who is where becomes known to all nodes a little later than the join is done.
      let members: unknown[] = [];
      for (let ask = 0; ask < 10_000 && members.length < 2; ask++)
        ({ members } = (await send(`${other.admin}/realtime/rooms/r/members`)).json);
      assert.equal(members.length, 2);
    });

    test("a broker that is away makes the gateway not ready and fails publishing", async () => {
      const [node] = nodes as [TestGateway];
      await server.kill();
      const answer = await send(`${node.admin}/realtime/publish`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ room: "r", from: "system", message: "lost?" }),
      });
      assert.deepEqual([answer.status, answer.json.reason], [503, "BROKER_UNAVAILABLE"]);
      const ready = await send(`${node.admin}/readyz`);
      assert.deepEqual([ready.status, ready.json.checks.realtime.ok], [503, false]);
      await server.start();
    });
  });
}

test("rooms are served over gRPC where the configuration says so, and an address in use is an error at its position", async () => {
  const yaml = (address: string): string => `
realtime: { auth: none, api: { address: "${address}" } }
server: { drain: 0ms }
`;
  const gateway = await startTestGateway(yaml("127.0.0.1:0"), {});
  try {
    await assert.rejects(startTestGateway(yaml(`127.0.0.1:${gateway.httpPort}`), {}), /realtime.api.address/);
  } finally {
    await gateway.close();
  }
});
