import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import type { RoomPosition } from "../../src/realtime/brokers/broker.js";
import { ack } from "../../src/realtime/chat/frames.js";
import type { HubLimits } from "../../src/realtime/rooms/local-hub.js";
import { type Wire, World } from "./model.js";

const rooms = ["a", "b", "c"];
const sockets = 4;
const seed = 20_261_121;

const which = fc.nat(sockets - 1);
const room = fc.constantFrom(...rooms);
const policy = fc.constantFrom("close" as const, "drop" as const);
const max = fc.constantFrom(2000, 6000, 40_000);

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("join" as const), which, room }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("since" as const),
      which,
      room,
      back: fc.integer({ min: -2, max: 30 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const), which, room }) },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("send" as const),
      room,
      size: fc.constantFrom(10, 500, 1900),
      times: fc.integer({ min: 1, max: 6 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("stall" as const), which }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("read" as const), which, frames: fc.nat(8) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("resume" as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("answers" as const), which, size: fc.constantFrom(100, 900) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("close" as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("limits" as const), max, policy }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("lose" as const), room, times: fc.integer({ min: 1, max: 5 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("turn" as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("reply" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.constantFrom(5, 25, 250) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function limitsOf(of: HubLimits["backpressure"]): HubLimits {
  return { rooms: rooms.length, message: 65_536, sentAt: "seconds", backpressure: of };
}

/** A world whose clock only the test turns. */
class Run {
  readonly world: World;
  readonly wires: Wire[] = [];
  /** The last place of each client in each room, which outlives its sockets. */
  readonly places = new Map<string, RoomPosition>();
  readonly joining = new Set<string>();
  now = 0;

  constructor(
    readonly t: TestContext,
    of: HubLimits["backpressure"],
    history: number,
    asynchronous: boolean,
  ) {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    t.mock.method(performance, "now", () => this.now);
    this.world = new World(limitsOf(of), history, asynchronous);
    for (let i = 0; i < sockets; i++) this.wires.push(this.world.open());
  }

  wait(ms: number): void {
    this.now += ms;
    this.t.mock.timers.tick(ms);
  }

  async take(step: Step): Promise<void> {
    const { world } = this;
    const { hub, broker } = world;
    switch (step.kind) {
      case "join":
        this.join(step.which, step.room, undefined);
        break;
      case "since": {
        const place = this.placeOf(step.which, step.room);
        if (place === undefined) return;
        this.join(step.which, step.room, { epoch: place.epoch, seq: Math.max(0, place.seq - step.back) });
        break;
      }
      case "leave": {
        const wire = this.wires[step.which] as Wire;
        if (this.joining.has(`${step.which} ${step.room}`) || wire.over) return;
        if (hub.leave(wire.socket, step.room))
          wire.socket.send(JSON.stringify({ type: "left", room_id: step.room }));
        break;
      }
      case "send":
        for (let i = 0; i < step.times; i++)
          await hub.send(step.room, '"S"', { message: "x".repeat(step.size) });
        break;
      case "stall":
        (this.wires[step.which] as Wire).stalled = true;
        break;
      case "read":
        this.wires[step.which]?.read(step.frames);
        break;
      case "resume": {
        const wire = this.wires[step.which] as Wire;
        wire.stalled = false;
        wire.read(Number.POSITIVE_INFINITY);
        break;
      }
      case "answers": {
        const text = JSON.stringify({ type: "answer", text: "x".repeat(step.size) });
        for (let i = 0; i < 5; i++) this.wires[step.which]?.socket.send(text);
        break;
      }
      case "close": {
        const wire = this.wires[step.which] as Wire;
        if (!wire.over) wire.close();
        break;
      }
      case "limits":
        hub.limits = limitsOf(step);
        break;
      case "lose": {
        if (!broker.held.has(step.room)) return;
        for (let i = 0; i < step.times; i++)
          broker.keep(step.room, `{"type":"receive-message","room_id":"${step.room}"}`);
        this.tellGap(step.room);
        break;
      }
      case "restart":
        world.restart();
        break;
      case "turn":
        world.turn();
        break;
      case "reply":
        broker.questions.shift()?.();
        break;
      case "wait":
        this.wait(step.ms);
        break;
    }
    await Promise.resolve();
    await Promise.resolve();
    await Promise.resolve();
    for (const [index, wire] of this.wires.entries()) {
      for (const [name, place] of wire.seen.places) this.places.set(`${index} ${name}`, place);
      if (wire.over) this.wires[index] = world.open();
    }
  }

  placeOf(index: number, name: string): RoomPosition | undefined {
    return this.places.get(`${index} ${name}`);
  }

  /** As `Chat` does it: nothing of a client about a room is dealt with before what it has said before. */
  join(index: number, name: string, since: RoomPosition | undefined): void {
    const { hub } = this.world;
    const wire = this.wires[index] as Wire;
    const key = `${index} ${name}`;
    if (this.joining.has(key) || wire.socket.closed) return;
    const told = (joined: RoomPosition & { recovered: boolean | undefined }) => {
      const text = ack(1, name, joined, joined.recovered);
      const asked = wire.seen.asked.get(name);
      if (asked === undefined) wire.seen.asked.set(name, [since]);
      else asked.push(since);
      wire.socket.send(text);
    };
    const refused = (error: unknown) => assert.match(String(error), /socket is closed/);
    try {
      const done = hub.join(wire.socket, name, `${index}`, since, told);
      if (done === undefined) return;
      this.joining.add(key);
      done.catch(refused).finally(() => this.joining.delete(key));
    } catch (error) {
      refused(error);
    }
  }

  tellGap(name: string): void {
    const { hub, broker } = this.world;
    const known = hub.room(name);
    const timeline = broker.log.find(name);
    if (known === undefined || timeline === undefined) return;
    const from = timeline.epoch === known.epoch ? known.seq + 1 : 1;
    if (from <= timeline.seq) hub.gap(name, timeline.epoch, from, timeline.seq);
  }

  /** Everybody reads everything. */
  async settle(): Promise<void> {
    const { world } = this;
    const { hub, broker } = world;
    for (const name of rooms) this.tellGap(name);
    for (let round = 0; round < 1000; round++) {
      world.turn();
      for (const answer of broker.questions.splice(0)) answer();
      for (let i = 0; i < 5; i++) await Promise.resolve();
      for (const wire of world.wires) {
        wire.stalled = false;
        wire.read(Number.POSITIVE_INFINITY);
      }
      this.wait(250);
      if (hub.slow.size === 0 && broker.questions.length === 0 && this.joining.size === 0) break;
    }
    world.turn();
    assert.equal(hub.slow.size, 0, "nobody is behind");
    for (const wire of world.wires) {
      if (wire.code !== undefined) assert.equal(wire.code, 4008);
      if (wire.over) continue;
      const { socket, seen } = wire;
      assert.equal(socket.lag, undefined);
      assert.deepEqual([...seen.places.keys()].sort(), [...socket.rooms.keys()].sort());
      for (const [name, { epoch, seq }] of socket.rooms) {
        assert.equal(hub.room(name), socket.rooms.get(name), "the room is one that is open");
        assert.deepEqual(seen.places.get(name), { epoch, seq }, `${socket.id} in ${name}`);
      }
    }
    for (const each of hub.rooms()) assert.deepEqual([each.backlog, each.lagging], [undefined, 0]);
    assert.equal(hub.slow.due, 0);
    for (const wire of world.wires) if (!wire.over) wire.close();
    assert.deepEqual([hub.openRooms, hub.memberships, hub.open.size, broker.held.size], [0, 0, 0, 0]);
  }
}

for (const asynchronous of [false, true]) {
  const where = asynchronous ? "elsewhere" : "here";
  test(`every member gets each message once, in order, or the exact gap, or 4008; history ${where} (seed ${seed})`, async t => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({ max, policy }),
        fc.constantFrom(0, 5, 1000),
        fc.array(step, { maxLength: 120, size: "max" }),
        async (of, history, steps) => {
          const run = new Run(t, of, history, asynchronous);
          try {
            for (const each of steps) await run.take(each);
            await run.settle();
          } finally {
            t.mock.timers.reset();
            t.mock.restoreAll();
          }
        },
      ),
      {
        seed,
        numRuns: 300,
        includeErrorInReport: true,
      },
    );
  });
}
