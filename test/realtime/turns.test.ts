import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Registry } from "prom-client";
import { MemoryBroker } from "../../src/realtime/brokers/memory-broker.js";
import { RealtimeMetrics } from "../../src/realtime/metrics.js";
import { LocalHub, newSession } from "../../src/realtime/rooms/local-hub.js";
import { type Room, Socket } from "../../src/realtime/rooms/socket.js";
import { GatewayError } from "../../src/status/failure.js";
import { socketEngineUnderTest } from "../engine.js";
import { frameOf, rawSocket, serve } from "./harness.js";

/** A hub whose members read everything at once, and what each turn of the event loop has brought them. */
class Listeners {
  readonly hub: LocalHub;
  readonly broker = new MemoryBroker({ messages: 10, ttl: 3_600_000, maxBytes: 64 * 1024 ** 2 });
  /** What was said, by the order in which it was. */
  readonly said: string[] = [];
  /** Of the turn that is under way. */
  deliveries = 0;
  bytes = 0;
  most = { deliveries: 0, bytes: 0 };
  /** Writes of several frames to one member. */
  writes = 0;
  /** What each member was sent, by its topic or by itself. */
  readonly received = new Map<Socket, string[]>();
  readonly #topics = new Map<string, Set<Socket>>();

  constructor() {
    this.hub = new LocalHub(this.broker, new RealtimeMetrics(new Registry()), undefined, {
      rooms: 1000,
      message: 1024 ** 2,
      backpressure: { max: 1024 ** 3, policy: "close" },
      sentAt: "seconds",
    });
    this.broker.start(this.hub);
    this.hub.fanOut.attach({
      publish: (topic, text) => {
        const members = this.#topics.get(topic) ?? new Set();
        this.deliveries += members.size;
        this.bytes += members.size * text.length;
        this.said.push(text);
        for (const member of members) this.received.get(member)?.push(text);
      },
    });
  }

  join(room: string, from: string): Socket {
    const socket = new Socket(
      newSession(),
      { identity: undefined, clientAddress: "", requestId: "" },
      this.hub,
      1,
    );
    socket.open({
      getBufferedAmount: () => 0,
      send: text => {
        this.deliveries++;
        this.bytes += text.length;
        this.received.get(socket)?.push(text);
      },
      subscribe: topic => void this.#topics.set(topic, (this.#topics.get(topic) ?? new Set()).add(socket)),
      unsubscribe: topic => this.#topics.get(topic)?.delete(socket) ?? false,
      cork: write => {
        this.writes++;
        write();
      },
      end: () => undefined,
      close: () => undefined,
    });
    this.received.set(socket, []);
    this.hub.open.add(socket);
    this.hub.join(socket, room, from, undefined, () => undefined);
    return socket;
  }

  async fill(room: string, members: number): Promise<void> {
    // Of one name, so that nobody is notified of them but the first.
    for (let i = 0; i < members; i++) this.join(room, "m");
    await this.idle();
    this.said.length = 0;
    this.most = { deliveries: 0, bytes: 0 };
    for (const received of this.received.values()) received.length = 0;
  }

  /** Until a turn has brought nothing. */
  async idle(): Promise<number> {
    for (let turns = 0; ; turns++) {
      const { deliveries } = this;
      await this.turn();
      if (deliveries === 0 && turns > 2) return turns;
    }
  }

  /** Ends a turn, and begins the next. */
  async turn(): Promise<void> {
    const { deliveries, bytes, most } = this;
    this.most = { deliveries: Math.max(most.deliveries, deliveries), bytes: Math.max(most.bytes, bytes) };
    this.deliveries = 0;
    this.bytes = 0;
    await nextTurn();
  }
}

const numbers = (said: readonly string[]): number[] => said.map(text => Number(/"(\d+) x*"/.exec(text)?.[1]));

describe("work of one turn of the event loop", () => {
  test("140 messages of 60 KB to a room of 500 are delivered over many turns, in order", async () => {
    const world = new Listeners();
    await world.fill("x", 500);
    const text = "x".repeat(60_000);
    for (let i = 0; i < 140; i++) world.hub.send("x", '"a"', { message: `${i} ${text}` });
    assert.ok(world.bytes <= 70_000_000, `${world.bytes} bytes at once`);
    const turns = await world.idle();
    assert.ok(turns >= 60, `${turns} turns`);
    assert.ok(world.most.bytes <= 70_000_000, `${world.most.bytes} bytes in one turn`);
    assert.deepEqual(
      numbers(world.said),
      Array.from({ length: 140 }, (_, i) => i),
    );
    assert.equal(world.hub.room("x")?.held.length, 0);
    assert.equal(world.hub.room("x")?.heldBytes, 0);
  });

  test("hundreds of joins and leaves are sent over several turns of the event loop, in order", async () => {
    const world = new Listeners();
    await world.fill("x", 500);
    for (let i = 0; i < 148; i++) {
      const socket = world.join("x", `j${i}`);
      world.hub.leave(socket, "x");
    }
    assert.ok(world.deliveries <= 17_000, `${world.deliveries} at once`);
    await world.idle();
    assert.ok(world.most.deliveries <= 17_000, `${world.most.deliveries} in one turn`);
    assert.equal(world.said.length, 296);
    for (let i = 0; i < 148; i++) {
      assert.match(world.said[2 * i] ?? "", new RegExp(`"join-room".*"j${i}"`));
      assert.match(world.said[2 * i + 1] ?? "", new RegExp(`"leave-room".*"j${i}"`));
    }
  });

  test("many rooms share a turn, and a room with little to say does not wait for one with much", async () => {
    const world = new Listeners();
    for (let room = 0; room < 20; room++) await world.fill(`r${room}`, 200);
    for (let i = 0; i < 60; i++) {
      for (let room = 0; room < 19; room++) world.hub.send(`r${room}`, '"a"', { message: `${i} x` });
    }
    world.hub.send("r19", '"a"', { message: "last x" });
    let turns = 0;
    while (!world.said.some(text => text.includes("last x"))) {
      await world.turn();
      turns++;
    }
    assert.ok(turns <= 4, `${turns} turns`);
    await world.idle();
    assert.ok(world.most.deliveries <= 2 * 34_000, `${world.most.deliveries} in one turn`);
    assert.equal(world.said.length, 60 * 19 + 1);
  });

  test("messages that wait in a room are bounded: further ones are refused and may be sent again after a second", async () => {
    const world = new Listeners();
    await world.fill("x", 500);
    let sent = 0;
    const refused = (): boolean => {
      try {
        world.hub.send("x", '"a"', { message: `${sent} x` });
        sent++;
        return false;
      } catch (error) {
        assert.ok(error instanceof GatewayError);
        assert.deepEqual([error.failure.reason, error.failure.retryAfter], ["TOO_MANY_PENDING", 1]);
        return true;
      }
    };
    while (!refused());
    assert.ok(sent < 5000, `${sent} messages`);
    assert.throws(() => world.join("x", "late"), /messages of the room wait/);
    const other = world.join("y", "other");
    assert.equal(other.rooms.size, 1);
    await world.idle();
    assert.equal(refused(), false);
    await world.idle();
    assert.deepEqual(
      numbers(world.said.filter(text => text.includes("receive-message"))),
      Array.from({ length: sent }, (_, i) => i),
    );
  });

  test("messages of other nodes beyond that bound are reported as a gap, after those that wait already", async () => {
    const world = new Listeners();
    await world.fill("x", 500);
    const epoch = world.hub.room("x")?.epoch ?? "";
    for (let seq = 1; seq <= 20_000; seq++)
      world.hub.message("x", { text: `{"m":"${seq} x"}`, epoch, seq, at: Date.now() });
    const room = world.hub.room("x");
    assert.ok(room !== undefined && room.held.length <= 8193, `${room?.held.length} wait`);
    await world.idle();
    assert.equal(room.seq, 20_000);
    const told = numbers(world.said);
    assert.deepEqual(
      told,
      Array.from({ length: told.length }, (_, i) => i + 1),
    );
  });

  test("a large message to 1,500 members is delivered over several turns, and each member gets everything once and in order", async () => {
    const world = new Listeners();
    await world.fill("x", 1500);
    const members = [...world.hub.open];
    const text = "x".repeat(60_000);
    for (let i = 0; i < 4; i++) world.hub.send("x", '"a"', { message: `${i} ${text}` });
    const gone = members[1400] as Socket;
    world.hub.leave(gone, "x");
    const late = world.join("x", "late");
    world.hub.send("x", '"a"', { message: "4 x" });
    assert.ok(world.bytes <= 70_000_000, `${world.bytes} bytes at once`);
    await world.idle();
    assert.ok(world.most.bytes <= 75_000_000, `${world.most.bytes} bytes in one turn`);
    const messages = (socket: Socket): number[] =>
      numbers((world.received.get(socket) ?? []).filter(each => each.includes("receive-message")));
    for (const member of members) if (member !== gone) assert.deepEqual(messages(member), [0, 1, 2, 3, 4]);
    assert.deepEqual(messages(gone), []);
    assert.deepEqual(messages(late), [2, 3, 4], "those after its position");
    const room = world.hub.room("x");
    assert.deepEqual(
      [room?.lagging, room?.backlog, room?.deferredFanOut, room?.held.length],
      [0, undefined, undefined, 0],
    );
    assert.equal(world.hub.slow.size, 0);
  });

  test("messages to 20,000 members are delivered over several turns, and those that come meanwhile go in the same writes", async () => {
    const world = new Listeners();
    await world.fill("x", 20_000);
    world.writes = 0;
    for (let i = 0; i < 16; i++) world.hub.send("x", '"a"', { message: `${i} x` });
    let delivered = 0;
    while (delivered < 16 * 20_000) {
      await world.turn();
      delivered = 0;
      for (const received of world.received.values()) delivered += received.length;
    }
    assert.ok(world.most.deliveries <= 45_000, `${world.most.deliveries} in one turn`);
    assert.ok(world.writes <= 25_000, `${world.writes} writes`);
    const expected = Array.from({ length: 16 }, (_, i) => i);
    for (const received of world.received.values()) assert.deepEqual(numbers(received), expected);
    const { deliveries } = world;
    world.hub.send("x", '"a"', { message: "16 x" });
    assert.ok(world.deliveries - deliveries < 4000, "deliveries of one message at once");
    await world.idle();
    assert.equal(world.hub.room("x")?.lagging, 0);
  });

  test("however many messages come, members of a large room are few of them behind others", async () => {
    const world = new Listeners();
    await world.fill("x", 12_000);
    const last = [...world.hub.open].at(-1) as Socket;
    let most = 0;
    let sent = 0;
    for (; sent < 300; sent++) {
      world.hub.send("x", '"a"', { message: `${sent} x` });
      if (sent % 10 === 9) await world.turn();
      const position = last.lag?.get(world.hub.room("x") as Room)?.next ?? 0;
      if (position > 0) most = Math.max(most, (world.hub.room("x")?.seq ?? 0) + 1 - position);
    }
    assert.ok(most > 1 && most <= 33, `${most} messages behind`);
    await world.idle();
    const expected = Array.from({ length: sent }, (_, i) => i);
    for (const received of world.received.values()) assert.deepEqual(numbers(received), expected);
  });

  test("members who still wait for a message get it before the room begins a new epoch", async () => {
    const world = new Listeners();
    await world.fill("x", 20_000);
    world.hub.send("x", '"a"', { message: "0 x" });
    world.hub.message("x", { text: '{"m":"1 x"}', epoch: "other", seq: 1, at: Date.now() });
    world.hub.gap("x", "other", 2, 3);
    world.hub.message("x", { text: '{"m":"4 x"}', epoch: "other", seq: 4, at: Date.now() });
    await world.idle();
    for (const received of world.received.values()) {
      const text = received.map(
        each => /"type":"gap","from":\d+,"to":\d+/.exec(each)?.[0] ?? numbers([each])[0],
      );
      assert.deepEqual(text.slice(0, 2), [0, 1]);
      assert.equal(text.at(-1), 4);
      assert.equal(text.length, 4, `${text}`);
    }
  });

  test("a room whose members leave while it delivers a large message keeps nothing of it", async () => {
    const world = new Listeners();
    await world.fill("x", 1500);
    world.hub.send("x", '"a"', { message: "x".repeat(60_000) });
    world.hub.send("x", '"a"', { message: "x".repeat(60_000) });
    for (const socket of [...world.hub.open]) world.hub.leave(socket, "x");
    await world.idle();
    assert.equal(world.hub.room("x"), undefined);
    assert.equal(world.hub.slow.size, 0);
    assert.ok([...world.hub.open].every(({ lag, rooms }) => lag === undefined && rooms.size === 0));
  });

  test("a socket gets only a share of what may wait in rooms, in frames and in bytes, its joins and leaves become a digest, and other sockets go on", async () => {
    const world = new Listeners();
    await world.fill("x", 2000);
    const [loud, other] = [...world.hub.open] as [Socket, Socket];
    const send = (by: Socket, text: string): unknown => world.hub.send("x", '"a"', { message: text }, { by });
    const refusal = { failure: { reason: "TOO_MANY_PENDING", retryAfter: 1 } };
    const fill = (text: string): number => {
      for (let sent = 0; ; sent++) {
        try {
          send(loud, text);
        } catch (error) {
          assert.ok(error instanceof GatewayError);
          const { reason, retryAfter } = error.failure;
          assert.deepEqual({ failure: { reason, retryAfter } }, refusal);
          return sent;
        }
      }
    };
    const large = fill("x".repeat(60_000));
    assert.ok(large >= 60 && large <= 80, `${large} large messages`);
    send(other, "y");
    await world.idle();
    assert.deepEqual([loud.heldFrames, loud.heldBytes, other.heldFrames], [0, 0, 0]);
    const small = fill("x");
    assert.ok(small >= 1024 && small <= 1100, `${small} small messages`);
    assert.throws(() => world.hub.join(loud, "y", "a", undefined, () => undefined), /wait to be delivered/);
    send(other, "y");
    await world.idle();
    for (let pairs = 0; pairs < 2000; pairs++) {
      world.hub.leave(loud, "x");
      world.hub.join(loud, "x", "a", undefined, () => undefined);
    }
    assert.ok(loud.heldFrames < 600, `${loud.heldFrames} notices wait`);
    assert.ok((world.hub.room("x")?.heldNotices.length ?? 0) < 600);
    for (const socket of [...world.hub.open]) world.hub.leave(socket, "x");
    await world.idle();
    assert.deepEqual([loud.heldFrames, loud.heldBytes], [0, 0]);
  });

  test("a message passes the notices of joins that wait for their turn", async () => {
    const world = new Listeners();
    await world.fill("x", 600);
    for (let i = 0; i < 200; i++) world.join("x", `j${i}`);
    world.hub.send("x", '"a"', { message: "0 x" });
    world.hub.send("x", '"a"', { message: "1 x" });
    await world.turn();
    await world.turn();
    assert.deepEqual(numbers(world.said.filter(text => text.includes("receive-message"))), [0, 1]);
    assert.ok((world.hub.room("x")?.heldNotices.length ?? 0) > 100);
    await world.idle();
    const joined = world.said.filter(text => text.includes("join-room")).map(text => JSON.parse(text).from);
    assert.deepEqual(
      joined,
      Array.from({ length: 200 }, (_, i) => `j${i}`),
    );
  });

  test("members get a digest of more joins than they can be notified of one by one", async () => {
    const world = new Listeners();
    await world.fill("x", 900);
    for (let i = 0; i < 2000; i++) world.join("x", `j${i}`);
    const waiting = world.hub.room("x")?.heldNotices.length ?? 0;
    assert.ok(waiting > 100 && waiting < 300, `${waiting} wait`);
    const digests = (): string[] => world.said.filter(text => text.startsWith('{"type":"members"'));
    while (digests().length === 0) await world.turn();
    const { joined, left, count, more } = JSON.parse(digests()[0] ?? "");
    assert.deepEqual([left, count, more], [[], 2900, true]);
    const each = world.said.filter(text => text.includes("join-room")).map(text => JSON.parse(text).from);
    assert.deepEqual(
      [...each, ...joined],
      Array.from({ length: each.length + joined.length }, (_, i) => `j${i}`),
    );
    assert.ok(each.length <= waiting + 100, `${each.length} single notices`);
  });

  test("the more members a room has, the fewer joins they are notified of one by one before they get a digest", async () => {
    const singleNotices = async (members: number): Promise<number> => {
      const world = new Listeners();
      await world.fill("x", members);
      for (let i = 0; i < 1500; i++) world.join("x", `j${i}`);
      while (!world.said.some(text => text.startsWith('{"type":"members"'))) await world.turn();
      return world.said.filter(text => text.includes("join-room")).length;
    };
    const few = await singleNotices(800);
    assert.ok(few > 100 && few < 400, `${few} single notices to 800 members`);
    const many = await singleNotices(6000);
    assert.ok(many > 0 && many < 25, `${many} single notices to 6,000 members`);
  });

  test("nobody is notified of a leave before the digest that would have named the member as joined", async t => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const world = new Listeners();
    await world.fill("x", 900);
    const joined = Array.from({ length: 1000 }, (_, i) => world.join("x", `j${i}`));
    await world.idle();
    world.hub.leave(joined.at(-1) as Socket, "x");
    await world.idle();
    t.mock.timers.tick(1000);
    await world.idle();
    const present = new Set<string>();
    for (const text of world.said) {
      const { type, from, joined: more, left } = JSON.parse(text);
      if (type === "join-room") present.add(from);
      else if (type === "leave-room") assert.ok(present.delete(from), `${from} left before it joined`);
      else for (const name of more) if (!left.includes(name)) present.add(name);
    }
    assert.ok(!present.has("j999"));
  });

  test("members get digests until as few join in a second as they can be notified of one by one", async t => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const world = new Listeners();
    await world.fill("x", 5000);
    const typesAfter = async (joins: number): Promise<Set<string>> => {
      world.said.length = 0;
      for (let i = 0; i < joins; i++) world.join("x", newSession());
      await world.idle();
      t.mock.timers.tick(1000);
      await world.idle();
      return new Set(world.said.map(text => JSON.parse(text).type));
    };
    assert.deepEqual(await typesAfter(100), new Set(["join-room", "members"]));
    assert.deepEqual(await typesAfter(100), new Set(["members"]));
    assert.deepEqual(await typesAfter(2), new Set(["members"]));
    assert.deepEqual(await typesAfter(2), new Set(["join-room"]));
    assert.deepEqual(await typesAfter(0), new Set());
  });

  test("a room that everybody has left says nothing any more, and begins anew", async () => {
    const world = new Listeners();
    await world.fill("x", 500);
    for (let i = 0; i < 100; i++) world.hub.send("x", '"a"', { message: `${i} x` });
    for (const socket of [...world.hub.open]) world.hub.leave(socket, "x");
    await world.idle();
    const said = world.said.length;
    world.join("x", "new");
    assert.equal(world.hub.room("x")?.seq, 100);
    await world.idle();
    assert.equal(world.said.length, said);
  });
});

test(`frames that came in one packet are all delivered, in order (${socketEngineUnderTest()})`, async t => {
  const { open, port } = await serve(t, {
    settings: { backpressure: { max: 64 * 1024 ** 2, policy: "close" } },
  });
  const members = await Promise.all(Array.from({ length: 60 }, () => open()));
  for (const [i, member] of members.entries()) await member.join("x", `m${i}`);
  const sender = await rawSocket(port);
  const say = (frame: object): Buffer => frameOf(0x81, Buffer.from(JSON.stringify(frame)));
  const text = "x".repeat(20_000);
  sender.write(
    Buffer.concat([
      say({ type: "join-room", room_id: "x", from: "S" }),
      ...Array.from({ length: 120 }, (_, i) =>
        say({ type: "send-message", room_id: "x", message: `${i} ${text}` }),
      ),
    ]),
  );
  for (const member of members) {
    for (let i = 0; i < 120; i++)
      assert.ok(String((await member.next("receive-message")).message).startsWith(`${i} `));
  }
  sender.destroy();
});
