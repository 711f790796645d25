import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Wire, World } from "./model.js";

const seed = 20_261_121;
const rooms = ["a", "b"];
const which = fc.nat(4);
const room = fc.constantFrom(...rooms);

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("join" as const), which, room }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("leave" as const), which, room }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("send" as const), room, size: fc.nat(1900) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("stall" as const), which }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("read" as const), which, frames: fc.nat(8) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("turn" as const) }) },
);

test(`joins, leaves and messages all reach a slow member, in order, up to its end (seed ${seed})`, t => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  t.mock.method(performance, "now", () => now++);
  fc.assert(
    fc.property(
      fc.constantFrom(3000, 40_000),
      fc.array(step, { maxLength: 150, size: "max" }),
      (max, steps) => {
        const backpressure = { max, policy: "close" } as const;
        const world = new World({ rooms: 2, message: 65_536, sentAt: "seconds", backpressure }, 0, false);
        const { hub, broker } = world;
        const expected = new Map<Wire, string[]>();
        const due = (name: string, text: string, except: string | undefined): void => {
          for (const wire of world.wires) {
            if (!wire.socket.rooms.has(name) || wire.socket.id === except) continue;
            expected.get(wire)?.push(text);
          }
        };
        broker.start({
          message(name, message) {
            due(name, message.text, undefined);
            hub.message(name, message);
          },
          notice(name, notice) {
            due(name, notice.text, notice.except);
            hub.notice(name, notice);
          },
          gap() {},
          member() {},
          announcesSockets: () => false,
          lost() {},
          evicted() {},
          vacated() {},
          signal() {},
        });
        for (let i = 0; i < 5; i++) expected.set(world.open(), []);
        for (const each of steps) {
          const wire = "which" in each ? (world.wires[each.which] as Wire) : undefined;
          if (each.kind === "send") void hub.send(each.room, '"S"', { message: "x".repeat(each.size) });
          else if (each.kind === "turn") world.turn();
          else if (wire === undefined || wire.socket.closed) continue;
          else if (each.kind === "join") {
            const told = ({ epoch, seq }: { epoch: string; seq: number }) =>
              void wire.seen.places.set(each.room, wire.seen.places.get(each.room) ?? { epoch, seq });
            void hub.join(wire.socket, each.room, `${each.which}`, undefined, told);
          } else if (each.kind === "leave") {
            // What waits for who leaves is sent to nobody.
            if (wire.stalled || wire.socket.lag !== undefined) continue;
            wire.flush();
            if (hub.leave(wire.socket, each.room)) wire.seen.places.delete(each.room);
          } else if (each.kind === "stall") wire.stalled = true;
          else wire.read(each.frames);
        }
        for (let round = 0; round < 20 && (round === 0 || hub.slow.size > 0); round++) {
          for (const wire of world.wires) {
            wire.stalled = false;
            wire.read(Number.POSITIVE_INFINITY);
          }
          t.mock.timers.tick(250);
        }
        world.turn();
        assert.equal(hub.slow.size, 0);
        for (const [wire, texts] of expected) {
          for (const name of rooms) {
            const of = (text: string) => text.includes(`"room_id":"${name}"`);
            const got = wire.seen.texts.filter(of);
            const all = texts.filter(of);
            assert.deepEqual(got, wire.code === undefined ? all : all.slice(0, got.length));
          }
        }
      },
    ),
    { seed, numRuns: 200, includeErrorInReport: true },
  );
});
