import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket as NetSocket } from "node:net";
import type { TestContext } from "node:test";
import { WebSocket } from "ws";
import { MemoryBroker } from "../../src/realtime/brokers/memory-broker.js";
import { collect } from "../old-space.js";
import { startBridge } from "./bridge/bridge-system.js";
import { type Streaming, startRoomsBackend, type Unary } from "./bridge/rooms-backend.js";
import { Client, frameOf, type Json, rawSocket, serve, type TestOptions, until } from "./harness.js";

// Run by memory.test.ts in a process of its own: the test runner remembers promises. Does each fault several times to a
// server that goes on, and prints, as a line of JSON each, what memory was in use after each time.

const repetitions = 7;
/** Before these the engine has compiled what the fault needs. */
const unmeasured = 1;
const nothing = { connections: 0, rooms: 0, members: 0, lagging: 0, historyBytes: 0 };

/** What a fault is done to. */
interface Victim {
  readonly port: number;
  /** So many clients, all of them members of the room. */
  members(count: number, room?: string): Promise<readonly Client[]>;
  census(): typeof nothing;
  /** The server's own handles of its sockets. */
  sockets(): readonly unknown[];
}

type Fault = (victim: Victim) => Promise<void>;

/** Bytes in use once all garbage is gone; what is outside of the heap includes array buffers. */
async function memory(): Promise<{ readonly heap: number; readonly outside: number }> {
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise(resolve => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return { heap: heapUsed, outside: external };
}

/** Does the fault to a server that must be what it was after each time. */
async function repeat(
  name: string,
  fault: Fault,
  options: TestOptions = {},
  before = unmeasured,
): Promise<void> {
  const broker = new MemoryBroker({ messages: 50, ttl: 50, maxBytes: 1024 ** 2, ...options.history });
  const ends: (() => unknown)[] = [];
  const context = { after: (end: () => unknown) => ends.push(end) } as unknown as TestContext;
  const { realtime, port, url, registry } = await serve(context, { ...options, broker });
  let names = 0;
  const victim: Victim = {
    port,
    members: (count, room = "x") =>
      Promise.all(
        Array.from({ length: count }, async () => {
          const client = new Client(new WebSocket(`${url}/ws`));
          await client.opened;
          await client.join(room, `member ${++names}`);
          return client;
        }),
      ),
    census: () => realtime.counts(),
    sockets: () => [...realtime.local.open],
  };
  const used = [];
  for (let i = -before; i < repetitions; i++) {
    await fault(victim);
    await until(() => {
      // Lets go of what is too old.
      broker.rooms(1);
      const { connections, historyBytes } = realtime.counts();
      return connections === 0 && historyBytes === 0 && realtime.permits.held === 0;
    });
    assert.deepEqual(realtime.counts(), nothing, name);
    await registry.metrics();
    const now = await memory();
    if (i >= 0) used.push(now);
  }
  for (const end of ends) await end();
  console.log(JSON.stringify({ name, heap: used.map(at => at.heap), outside: used.map(at => at.outside) }));
}

const terminate = (clients: readonly Client[]): void => {
  for (const { socket } of clients) socket.terminate();
};
const all = (clients: readonly Client[], act: (client: Client, index: number) => unknown): Promise<unknown> =>
  Promise.all(clients.map(act));
const message = (text: string, more: Json = {}): Json => ({
  type: "send-message",
  room_id: "x",
  message: text,
  ...more,
});
const raw = (port: number, count: number): Promise<readonly NetSocket[]> =>
  Promise.all(Array.from({ length: count }, () => rawSocket(port)));
const over = (sockets: readonly NetSocket[]): Promise<unknown> =>
  Promise.all(sockets.map(socket => socket.closed || once(socket.resume(), "close")));
/** It is answered. */
const join = frameOf(0x81, Buffer.from('{"type":"join-room","room_id":"x","from":"raw","id":1}'));

/** The connection of a client that can stop reading. */
function connectionOf({ socket }: Client): NetSocket {
  return (socket as unknown as { readonly _socket: NetSocket })._socket;
}

const kept: unknown[] = [];
await repeat("a handle of each socket is kept", async ({ members, sockets }) => {
  const clients = await members(200);
  for (const socket of sockets()) kept.push(socket, new Array(500).fill(socket));
  terminate(clients);
});
kept.length = 0;

await repeat("invalid JSON and binary frames", async ({ members }) => {
  await all(await members(80), async ({ socket, closed }, index) => {
    for (let i = 0; i < 25; i++) socket.send(index % 2 === 0 ? '{"type":' : Buffer.alloc(50));
    assert.equal((await closed).code, 4400);
  });
});

await repeat("fragments without an end, invalid UTF-8, frames that break the protocol", async ({ port }) => {
  const broken = [
    Buffer.concat([frameOf(0x01, Buffer.alloc(30_000, "x")), frameOf(0x00, Buffer.alloc(20_000, "x"))]),
    frameOf(0x81, Buffer.from([0x22, 0xc3, 0x28, 0x22])),
    frameOf(0x80, Buffer.from("x")),
    frameOf(0xc1, Buffer.from("x")),
    Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
  ];
  const sockets = await raw(port, 80);
  await Promise.all(
    sockets.map(async (socket, i) => {
      socket.write(Buffer.concat([join, broken[i % broken.length] as Buffer]));
      if (i % broken.length > 0) return;
      await once(socket, "data");
      socket.destroy();
    }),
  );
  await over(sockets);
});

await repeat("messages above the limit, in one frame and in many", async ({ members, port }) => {
  const clients = await members(20);
  for (const { socket } of clients) socket.send("x".repeat(70_000));
  const sockets = await raw(port, 20);
  for (const socket of sockets) {
    socket.write(frameOf(0x01, Buffer.alloc(9000, "x")));
    for (let i = 1; i < 9; i++) socket.write(frameOf(i < 8 ? 0x00 : 0x80, Buffer.alloc(9000, "x")));
  }
  await Promise.all([all(clients, ({ closed }) => closed), over(sockets)]);
});

await repeat(
  "floods",
  async ({ members }) => {
    await all(await members(20), async (client, index) => {
      for (let i = 0; i < 200; i++) client.say(message("flood", { id: `${index} ${i}` }));
      assert.equal((await client.closed).code, 4029);
    });
  },
  { limits: { messagesPerSecond: 1, burst: 10 } },
);

await repeat("sockets that end without a word, or only their half", async ({ port }) => {
  const sockets = await raw(port, 80);
  await Promise.all(
    sockets.map(async (socket, i) => {
      socket.write(join);
      await once(socket, "data");
      if (i % 2 === 0) socket.resetAndDestroy();
      else socket.end();
    }),
  );
  await over(sockets);
});

await repeat("a storm of joins and leaves", async ({ members }) => {
  const clients = await members(20);
  for (let round = 0; round < 20; round++) {
    for (const [i, client] of clients.entries()) {
      client.say({ type: "join-room", room_id: `room ${(round + i) % 7}`, from: `c${i}` });
      if (round % 2 === i % 2) client.say({ type: "leave-room", room_id: `room ${(round + i) % 7}` });
    }
  }
  await all(clients, client => client.settled());
  terminate(clients);
});

await repeat(
  "a socket that joins 1,000 rooms, each twice, and speaks in all",
  async ({ members }) => {
    const [client] = (await members(1)) as [Client];
    for (let i = 0; i < 1000; i++) {
      const room_id = `room ${i}`;
      for (const type of ["join-room", "join-room", "send-message"])
        client.say({ type, room_id, from: "member", ...(type === "send-message" && { message: "hello" }) });
    }
    assert.equal((await client.join("room 1000", "A")).type, "error");
    terminate([client]);
  },
  { limits: { roomsPerConnection: 1000 } },
);

await repeat("sockets that close while messages are on their way to them", async ({ members }) => {
  const [keeper] = (await members(1)) as [Client];
  for (let round = 0; round < 2; round++) {
    const others = await members(20);
    keeper.say(message("x".repeat(50_000)));
    for (const [i, { socket }] of others.entries()) {
      if (i % 2 === 0) socket.terminate();
      else socket.close(1000, "bye");
    }
    await keeper.ask(message("y", { id: round }));
    keeper.frames.length = 0;
  }
  terminate([keeper]);
});

for (const policy of ["close", "drop"] as const)
  await repeat(
    `slow readers with the policy ${policy}`,
    async ({ members, census }) => {
      const [sender, ...readers] = (await members(6)) as [Client, ...Client[]];
      for (const reader of readers) connectionOf(reader).pause();
      const text = "x".repeat(60_000);
      const found = (): boolean => (policy === "close" ? census().members === 1 : census().lagging === 5);
      for (let i = 0; !found(); i++) {
        await sender.ask(message(text, { id: i }));
        sender.frames.length = 0;
      }
      for (const reader of readers.slice(0, 2)) reader.socket.terminate();
      for (const reader of readers) connectionOf(reader)?.resume();
      if (policy === "drop") await until(() => census().lagging === 0);
      else await all(readers.slice(2), async ({ closed }) => assert.equal((await closed).code, 4008));
      terminate([sender, ...readers]);
    },
    { settings: { backpressure: { max: 64 * 1024, policy } } },
  );

await repeat(
  "history at its limits of messages and of bytes",
  async ({ members }) => {
    const rooms = Array.from({ length: 10 }, (_, i) => `room ${i}`);
    const clients = await Promise.all(rooms.map(async room => (await members(1, room))[0] as Client));
    await all(clients, async (client, room) => {
      for (let i = 0; i < 60; i++)
        await client.ask(message("x".repeat(2000), { room_id: rooms[room], id: i }));
    });
    terminate(clients);
  },
  { history: { messages: 20, maxBytes: 100_000 } },
);

const asking = (method: string) =>
  ({ upstream: "chat", method: `chat.v1.Rooms/${method}`, on_failure: "allow", timeout: 50 }) as const;
const events = {
  join: asking("Join"),
  message: asking("Send"),
  leave: asking("Leave"),
  disconnect: asking("Disconnect"),
};
const limits = { concurrency: 20, queue: 40, streams: 100, calls_per_connection: 16 };
const streams: Readonly<Record<string, Streaming>> = { Count: call => void call.write({ value: 1 }) };

/** Each client says and calls a few things; resolves when all are answered, however. */
function traffic(clients: readonly Client[]): Promise<unknown> {
  return all(clients, async client => {
    const calls = Array.from({ length: 10 }, (_, id) => ({ type: "call", method: "chat.v1.Calls/Echo", id }));
    client.say({ type: "call", id: "stream", method: "chat.v1.Calls/Count", body: {} });
    for (const call of calls) client.say({ ...call, body: { text: "x".repeat(500) } });
    for (let i = 0; i < 3; i++) client.say(message("x".repeat(500), { id: `message ${i}` }));
    const waiting = new Set<unknown>(["message 0", "message 1", "message 2", ...calls.map(({ id }) => id)]);
    while (waiting.size > 0) {
      const { id } = await client.next();
      waiting.delete(id);
      // That was the last of the messages: what is still called hangs.
      if (id === "message 2") for (const call of calls) client.say({ type: "cancel", id: call.id });
    }
  });
}

/** Faults of a backend that answers as the handlers say. */
async function repeatBridged(
  name: string,
  unary: Readonly<Record<string, Unary>>,
  fault: (clients: readonly Client[], reached: () => Promise<unknown>) => Promise<void>,
  restarts: boolean,
): Promise<void> {
  let backend = await startRoomsBackend(unary, streams);
  const { port } = backend;
  const config = { events, bridge: limits, calls: ["chat.v1.Calls/*"] };
  const { bridge, metric, close } = await startBridge(config, port);
  await repeat(
    name,
    async ({ members }) => {
      const clients = await members(10);
      const before = backend.seen.length;
      // Where its socket is closed, a client is not answered.
      const going = traffic(clients).catch(() => undefined);
      // A backend that has just come back may not be found in time.
      await Promise.race([backend.reached(before + 10), going]);
      if (restarts) await backend.close();
      await fault(clients, () => going);
      terminate(clients);
      while ((await metric("protogate_ws_bridge_calls_in_flight")) > 0)
        await new Promise(resolve => setImmediate(resolve));
      if (restarts) backend = await startRoomsBackend(unary, streams, port);
      else backend.seen.length = 0;
    },
    { settings: { bridge } },
    // The gRPC server of the test is compiled, too.
    6,
  );
  await close();
  await backend.close();
}

const hanging = { Send: () => undefined, Echo: () => undefined };
await repeatBridged("a backend that hangs", hanging, async (_, answered) => void (await answered()), false);
await repeatBridged("sockets that are gone before a backend answers", hanging, async () => undefined, false);
await repeatBridged("a backend that dies", hanging, async (_, answered) => void (await answered()), true);
