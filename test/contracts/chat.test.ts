import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { resolve } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type ClientOptions, WebSocket } from "ws";
import { Client } from "../realtime/harness.js";
import { send } from "./http-client.js";
import { type System, startSystem } from "./system.js";

const example = resolve(import.meta.dirname, "../../config/examples/chat.yaml");
const room_id = "Will Test Room";
const will = "Will Hall";
const hello = { type: "send-message", room_id, from: will, message: "Hello world!" };

describe("config/examples/chat.yaml", () => {
  let system: System;
  const clients: Client[] = [];
  beforeEach(async () => {
    system = await startSystem(example);
  });
  afterEach(async () => {
    for (const { socket } of clients.splice(0)) socket.terminate();
    await system.close();
  });

  async function connect(port = system.realtimePort): Promise<Client> {
    const client = new Client(new WebSocket(`ws://127.0.0.1:${port}`));
    clients.push(client);
    await client.opened;
    return client;
  }

  /** Somebody who is in the room, without having asked to be told so. */
  async function member(from: string, port?: number): Promise<Client> {
    const client = await connect(port);
    client.say({ type: "join-room", room_id, from });
    await settled(client);
    return client;
  }

  /** Resolves when what the client has said of the room before has been dealt with. */
  async function settled(client: Client): Promise<void> {
    await client.ask({ type: "presence", room_id, id: "settled" });
  }

  /** Everything that has come. */
  async function received(client: Client): Promise<unknown[]> {
    await settled(client);
    return client.frames.splice(0);
  }

  /** The status with which a page of that origin is refused; 101 where it is not. */
  async function upgradeStatus(port: number, options: ClientOptions): Promise<number | undefined> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, options);
    socket.on("error", () => undefined);
    const [answer] = (await Promise.race([
      once(socket, "upgrade"),
      once(socket, "unexpected-response").then(([, response]) => [response]),
    ])) as [IncomingMessage];
    socket.terminate();
    return answer.statusCode;
  }

  it("join-room notifies the existing members, and them alone", async () => {
    const ann = await member("Ann");
    const bob = await member("Bob");
    const stranger = await connect();
    await member(will);
    assert.deepEqual(await received(ann), [
      { type: "join-room", room_id, from: "Bob" },
      { type: "join-room", room_id, from: will },
    ]);
    assert.deepEqual(await received(bob), [{ type: "join-room", room_id, from: will }]);
    assert.deepEqual(await received(stranger), []);
  });

  it("send-message reaches every member, the sender included, with the time in seconds", async () => {
    const ann = await member("Ann");
    const sender = await member(will);
    const stranger = await connect();
    await received(ann);
    const before = Date.now() / 1000;
    sender.say(hello);
    const own = await sender.next();
    const after = Date.now() / 1000;
    const { sent_at: at, epoch, ...rest } = own;
    assert.deepEqual(rest, { type: "receive-message", room_id, from: will, message: "Hello world!", seq: 1 });
    assert.ok(typeof at === "number" && before <= at && at <= after, String(at));
    assert.equal(typeof epoch, "string");
    assert.deepEqual(await ann.next(), own);
    assert.deepEqual(await received(stranger), []);
  });

  it("the time can be in milliseconds", async () => {
    const change = (yaml: string): string => yaml.replace("sent_at: seconds", "sent_at: milliseconds");
    await system.close();
    system = await startSystem(example, { change });
    const sender = await member(will);
    const before = Date.now();
    sender.say(hello);
    const { sent_at: at } = await sender.next();
    assert.ok(Number.isInteger(at) && before <= Number(at) && Number(at) <= Date.now(), String(at));
  });

  it("leave-room notifies the other members, and nothing more comes", async () => {
    const ann = await member("Ann");
    const leaver = await member(will);
    await received(ann);
    leaver.say({ type: "leave-room", room_id, from: will });
    assert.deepEqual(await ann.next(), { type: "leave-room", room_id, from: will });
    ann.say({ ...hello, from: "Ann" });
    assert.equal((await ann.next()).type, "receive-message");
    assert.deepEqual(await received(leaver), []);
  });

  it("a socket that closes leaves its rooms", async () => {
    const ann = await member("Ann");
    const other = await member(will);
    await received(ann);
    other.socket.terminate();
    assert.deepEqual(await ann.next(), { type: "leave-room", room_id, from: will });
  });

  it("a socket cannot leave or send to a room that it is not in, nor for another user", async () => {
    const ann = await member("Ann");
    const stranger = await connect();
    for (const frame of [hello, { type: "leave-room", room_id, from: will }]) {
      stranger.say(frame);
      const { type, reason } = await stranger.next();
      assert.deepEqual([type, reason], ["error", "NOT_A_MEMBER"]);
    }
    const mallory = await member("Mallory");
    await received(ann);
    mallory.say({ ...hello, from: "Ann" });
    const { type, reason } = await mallory.next();
    assert.deepEqual([type, reason], ["error", "FROM_MISMATCH"]);
    assert.deepEqual(await received(ann), []);
  });

  it("invalid frames get an error frame, and close no socket", async () => {
    const ann = await member("Ann");
    const clumsy = await member(will);
    await received(ann);
    const mistakes: readonly (readonly [frame: string | Buffer, reason: string, message: string])[] = [
      ["{", "MALFORMED_JSON", "the frame is not valid JSON"],
      ["[]", "INVALID_VALUE", "the frame must be a JSON object"],
      ["{}", "INVALID_VALUE", "type not provided"],
      [`{"type":"join-room","from":"${will}"}`, "INVALID_VALUE", "room_id not provided"],
      [`{"type":"leave-room","from":"${will}"}`, "INVALID_VALUE", "room_id not provided"],
      [`{"type":"send-message","message":"x"}`, "INVALID_VALUE", "room_id not provided"],
      [`{"type":"send-message","room_id":"${room_id}"}`, "INVALID_VALUE", "message not provided"],
      [`{"type":"join-room","room_id":"another"}`, "INVALID_VALUE", "from not provided"],
      [
        `{"type":"send-mesage","room_id":"${room_id}"}`,
        "UNKNOWN_TYPE",
        'unknown type "send-mesage"; did you mean "send-message"?',
      ],
      [Buffer.from("{}"), "BINARY_FRAME", "frames must be text"],
    ];
    for (const [frame, reason, message] of mistakes) {
      clumsy.socket.send(frame);
      const { room_id: _, ...answer } = await clumsy.next();
      assert.deepEqual(answer, { type: "error", reason, message });
    }
    clumsy.say(hello);
    for (const client of [clumsy, ann]) assert.equal((await client.next()).message, "Hello world!");
  });

  it("backends can refuse a join, and refuse or rewrite a message", async () => {
    const ann = await member("Ann");
    const impostor = await connect();
    impostor.say({ type: "join-room", room_id, from: "Protogate" });
    assert.deepEqual(await impostor.next(), {
      type: "error",
      room_id,
      reason: "NAME_TAKEN",
      message: 'the name "Protogate" is taken',
    });
    ann.say({ type: "send-message", room_id, from: "Ann", message: "  " });
    assert.deepEqual(await ann.next(), {
      type: "error",
      room_id,
      reason: "INVALID_ARGUMENT",
      message: "message: must not be empty",
    });
    ann.say({ type: "send-message", room_id, from: "Ann", message: " Hello\n" });
    assert.equal((await ann.next()).message, "Hello");
  });

  it("GET /rooms lists the rooms that hold messages, on both ports", async () => {
    const sender = await member(will);
    for (const port of [system.httpPort, system.realtimePort]) {
      const answer = await send(port, "GET", "/rooms");
      assert.deepEqual([answer.status, answer.body], [200, '{"rooms":[]}']);
    }
    sender.say(hello);
    await sender.next();
    for (const port of [system.httpPort, system.realtimePort]) {
      const answer = await send(port, "GET", "/rooms");
      assert.deepEqual([answer.status, answer.body], [200, `{"rooms":["${room_id}"]}`]);
      assert.match(answer.headers["content-type"] ?? "", /^application\/json/);
    }
  });

  it("POST /send reaches the members and returns the message that they get; POST /receive lists it", async () => {
    const ann = await member("Ann");
    const { type: _, ...body } = hello;
    const sent = await system.send("POST", "/send", { body });
    assert.equal(sent.status, 200, sent.body);
    const frame = await ann.next();
    assert.deepEqual(JSON.parse(sent.body), frame);
    assert.equal(typeof frame.sent_at, "number");
    ann.say({ type: "send-message", room_id, from: "Ann", message: "Hello Will!" });
    const reply = await ann.next();
    const listed = await system.send("POST", "/receive", { body: { room_id } });
    assert.equal(listed.status, 200);
    assert.deepEqual(JSON.parse(listed.body), { messages: [frame, reply] });
    const none = await system.send("POST", "/receive", { body: { room_id: "empty" } });
    assert.deepEqual([none.status, none.body], [200, '{"messages":[]}']);
  });

  it("a request that lacks a field gets 400 with the name of the field", async () => {
    const requests = [
      ["/send", { from: will, message: "x" }, "room_id not provided"],
      ["/send", { room_id, message: "x" }, "from not provided"],
      ["/send", { room_id, from: will }, "message not provided"],
      ["/receive", {}, "room_id not provided"],
      ["/send", "{", "the body is not valid JSON"],
    ] as const;
    for (const [path, body, error] of requests) {
      const answer = await system.send("POST", path, { body });
      assert.deepEqual([answer.status, answer.body], [400, JSON.stringify({ error })]);
    }
    const refused = await system.send("POST", "/send", { body: { room_id, from: will, message: " " } });
    assert.deepEqual([refused.status, refused.body], [400, '{"error":"message: must not be empty"}']);
  });

  it("an unknown endpoint is 404 with an error, on both ports", async () => {
    const unknown = await system.send("GET", "/nowhere");
    assert.deepEqual([unknown.status, unknown.body], [404, '{"error":"no route for /nowhere"}']);
    const answer = await send(system.realtimePort, "GET", "/nowhere");
    assert.deepEqual([answer.status, answer.body], [404, '{"error":"no route for /nowhere"}']);
  });

  it("one port is enough: sockets come in by the HTTP port, too", async () => {
    const ann = await member("Ann", system.httpPort);
    const sender = await member(will);
    sender.say(hello);
    assert.equal((await ann.next("receive-message")).message, "Hello world!");
  });

  it("pages of the same host may connect, others may not", async () => {
    for (const port of [system.realtimePort, system.httpPort]) {
      assert.equal(await upgradeStatus(port, { origin: `http://127.0.0.1:${port}` }), 101);
      assert.equal(await upgradeStatus(port, { origin: "https://evil.example" }), 403);
    }
    const origin = `http://127.0.0.1:${system.httpPort}`;
    assert.equal(await upgradeStatus(system.realtimePort, { origin }), 403);
  });
});
