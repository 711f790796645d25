import assert from "node:assert/strict";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { WebSocket } from "ws";
import { startTestGateway } from "../../gateway/harness.js";
import { Client, type Json } from "../harness.js";
import { type RoomsBackend, roomsProto, startRoomsBackend, type Unary } from "./rooms-backend.js";

/** What two versions of the configuration differ in: a line of calls stands before every one of them. */
interface Version {
  readonly upstream: string;
  readonly port: number;
  readonly concurrency: number;
}

function configuration({ upstream, port, concurrency }: Version): string {
  const event = (method: string): string =>
    `{ upstream: ${upstream}, method: chat.v1.Rooms/${method}, timeout: 60s }`;
  return `
descriptors: [{ protos: ./protos }]
upstreams: { ${upstream}: { targets: ["127.0.0.1:${port}"], timeout: 60s } }
services: [{ service: chat.v1.Calls, upstream: ${upstream} }]
realtime:
  events: { connect: ${event("Connect")}, join: ${event("Join")}, message: ${event("Send")} }
  calls: [chat.v1.Calls/*]
  limits: { messages_per_second: 100000, burst: 100000 }
  bridge: { concurrency: ${concurrency}, queue: 4096, calls_per_connection: 64 }
server: { drain: 1s }
`;
}

const slow =
  (answer: (request: Json) => object): Unary =>
  (request, reply) =>
    setTimeout(() => reply(null, answer(request)), 2);

const handlers: Readonly<Record<string, Unary>> = {
  Connect: slow(() => ({})),
  Join: slow(() => ({})),
  Send: slow(() => ({})),
  Echo: slow(request => request),
};

async function backends(t: TestContext): Promise<readonly [RoomsBackend, RoomsBackend]> {
  const both = [await startRoomsBackend(handlers), await startRoomsBackend(handlers)] as const;
  t.after(() => Promise.all(both.map(backend => backend.close())));
  return both;
}

const perClient = 150;
/** Less than the frames that may wait for a backend. */
const window = 40;

/** Sends messages and calls, so that many always wait. @returns all that came, once everything is answered */
async function talk(client: Client, name: string, progress: () => void): Promise<readonly Json[]> {
  const came: Json[] = [];
  let sent = 0;
  let answered = 0;
  while (answered < 2 * perClient) {
    for (; sent < perClient && 2 * sent - answered < window; sent++) {
      client.say({ type: "send-message", room_id: "all", from: name, message: `${sent}`, id: sent });
      const call = { type: "call", id: `call ${sent}`, method: "chat.v1.Calls/Echo" };
      client.say({ ...call, body: { text: `${sent}` } });
    }
    const frame = await client.next();
    came.push(frame);
    if (frame.type === "receive-message" || frame.id === undefined) continue;
    answered++;
    progress();
  }
  return came;
}

test("reloads under traffic that waits for backends lose, refuse and reorder nothing", async t => {
  const [one, two] = await backends(t);
  const first = { upstream: "chat", port: one.port, concurrency: 3 };
  const gateway = await startTestGateway(configuration(first), { "protos/rooms.proto": roomsProto });
  t.after(() => gateway.close());
  const url = `ws://127.0.0.1:${gateway.realtimePort}/ws`;
  const names = ["Ann", "Bob", "Cid", "Dee"];
  const clients = await Promise.all(
    names.map(async name => {
      const client = new Client(new WebSocket(url));
      t.after(() => client.socket.terminate());
      await client.opened;
      assert.equal((await client.join("all", name)).type, "ack");
      return client;
    }),
  );
  const versions: readonly Version[] = [
    first,
    { ...first, concurrency: 5 },
    { ...first, upstream: "renamed", concurrency: 2 },
    { upstream: "renamed", port: two.port, concurrency: 2 },
    { upstream: "moved", port: one.port, concurrency: 3 },
  ];
  let progress = 0;
  const reloads: Promise<void>[] = [];
  const visitors: Promise<unknown>[] = [];
  const progressed = (): void => {
    if (++progress % 100 !== 0) return;
    const version = versions[(progress / 100) % versions.length] as Version;
    gateway.write("gateway.yaml", configuration(version));
    reloads.push(gateway.reload());
    // Its connect waits in the same line.
    const visitor = new WebSocket(url);
    t.after(() => visitor.terminate());
    visitors.push(once(visitor, "open"));
  };
  const heard = await Promise.all(clients.map((client, i) => talk(client, names[i] as string, progressed)));
  await Promise.all([...reloads, ...visitors]);
  assert.ok(reloads.length >= 10);
  assert.equal(gateway.log.filter(({ msg }) => msg === "configuration reloaded").length, reloads.length);
  for (const [i, frames] of heard.entries()) {
    assert.deepEqual(
      frames.filter(({ type }) => type === "error" || type === "gap"),
      [],
    );
    const replies = frames.filter(({ type }) => type === "reply");
    assert.equal(new Set(replies.map(({ id }) => id)).size, perClient);
    for (const { id, body } of replies) assert.equal(`call ${(body as Json).text}`, id);
    const acks = frames.filter(({ type }) => type === "ack");
    assert.deepEqual(
      acks.map(({ id }) => id),
      Array.from({ length: perClient }, (_, n) => n),
    );
    // The others may still have something to say when this one has all of its answers.
    const messages = frames.filter(({ type }) => type === "receive-message");
    while (messages.length < names.length * perClient)
      messages.push((await clients[i]?.next("receive-message")) as Json);
    for (const name of names) {
      const said = messages.filter(({ from }) => from === name).map(({ message }) => message);
      assert.deepEqual(
        said,
        Array.from({ length: perClient }, (_, n) => `${n}`),
      );
    }
    assert.deepEqual(
      messages.map(({ seq }) => seq),
      messages.map((_, n) => Number(messages[0]?.seq) + n),
    );
  }
});

test("a reload without rooms still sends backends the leaves of the last sockets", async t => {
  const [one] = await backends(t);
  const version = { upstream: "chat", port: one.port, concurrency: 3 };
  const left: Json[] = [];
  const leaving = await startRoomsBackend({
    ...handlers,
    Disconnect: (request, reply) => {
      left.push(request);
      reply(null, {});
    },
  });
  t.after(() => leaving.close());
  const text = configuration({ ...version, port: leaving.port }).replace(
    "events: {",
    "events: { disconnect: { upstream: chat, method: chat.v1.Rooms/Disconnect },",
  );
  const gateway = await startTestGateway(text, { "protos/rooms.proto": roomsProto });
  t.after(() => gateway.close());
  const clients = [];
  for (const name of ["Ann", "Bob"]) {
    const client = new Client(new WebSocket(`ws://127.0.0.1:${gateway.realtimePort}/ws`));
    t.after(() => client.socket.terminate());
    await client.opened;
    await client.join("all", name);
    clients.push(client);
  }
  const listeners = "listeners: { http: { address: 127.0.0.1:0 }, admin: { address: 127.0.0.1:0 } }";
  const without = text.replace(/^realtime:\n(?: {2}.*\n)+/m, "");
  gateway.write("./gateway.yaml", `${listeners}\n${without}`);
  await gateway.reload();
  for (const client of clients) assert.equal((await client.closed).code, 1012);
  while (left.length < clients.length) await new Promise(resolve => setImmediate(resolve));
  assert.deepEqual(
    gateway.log.filter(({ level }) => level === "error"),
    [],
  );
});
