import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { createCodecs } from "../../src/codec/codecs.js";
import { TranscodeError } from "../../src/codec/error.js";
import { Slice } from "../../src/codec/wire-to-json/decode.js";
import { Decoders } from "../../src/codec/wire-to-json/decoders.js";
import { JsonWriter } from "../../src/codec/wire-to-json/json-writer.js";
import { Reader } from "../../src/codec/wire-to-json/reader.js";
import { largeMessageBytes, maxWorkUnits } from "../../src/codec/work.js";
import { HOSTILE_MESSAGES } from "./hostile-inputs.js";
import { ALL } from "./json-arbitrary.js";
import { encode, model, POLICY, type } from "./schema.js";
import { int, len } from "./wire-bytes.js";

const codecs = createCodecs(model, POLICY);
const decoders = new Decoders(model, POLICY);
const all = codecs.message(type("three.All"));

/** A slice that is full at once. */
class Always extends Slice {
  override over(): boolean {
    return true;
  }
}

/** Field by field in one step, whatever it costs. */
function decodeWhole(wire: Buffer): string {
  const node = decoders.message(type("three.All"));
  return node.decode(new Reader(wire, Number.POSITIVE_INFINITY), wire.length, POLICY.depth);
}

/** Many rows of lists, maps, times and messages. */
function rows(bytes: number): Buffer {
  const row = JSON.stringify({
    fString: "größer",
    timestamp: "2024-05-06T07:08:09.123Z",
    mString: { env: "prod", team: "core" },
    rInt32: [1, 2, 3],
    struct: { a: [1, { b: null }], c: "text" },
    fAll: { rAll: [{ fColor: "RED" }, {}] },
  });
  const one = encode("three.All", `{"rAll":[${row}]}`);
  return Buffer.concat(Array.from({ length: Math.ceil(bytes / one.length) }, () => one));
}

test("what is printed in steps is what is printed at once, wherever it stops", () => {
  fc.assert(
    fc.property(ALL, json => {
      const wire = encode("three.All", JSON.stringify(json));
      const [atOnce, inSteps] = [new JsonWriter(), new JsonWriter()];
      const node = decoders.message(type("three.All"));
      node.print(new Reader(wire), wire.length, atOnce, POLICY.depth);
      for (const _ of node.steps(new Reader(wire), wire.length, inSteps, POLICY.depth, new Always(0)));
      assert.equal(inSteps.finish(), atOnce.finish());
    }),
    { numRuns: 30 },
  );
});

test("what is decoded field by field in steps is what is decoded so at once, wherever it stops", () => {
  fc.assert(
    fc.property(ALL, ALL, (one, two) => {
      // Fields of both come twice: lists go on, messages are merged, of others the last one counts.
      const wire = Buffer.concat([one, two].map(json => encode("three.All", JSON.stringify(json))));
      const node = decoders.message(type("three.All"));
      const outcome = (read: () => string): string => {
        try {
          return read();
        } catch (error) {
          // Durations of two signs, for example, are none when they are merged.
          assert.ok(error instanceof TranscodeError, String(error));
          return `${error.field}: ${error.message}`;
        }
      };
      const atOnce = outcome(() => node.decode(new Reader(wire), wire.length, POLICY.depth));
      const inSteps = outcome(() => {
        const steps = node.decodeSteps(new Reader(wire), wire.length, POLICY.depth, new Always(0));
        for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value;
      });
      assert.equal(inSteps, atOnce);
    }),
    { numRuns: 30 },
  );
});

test("no slice of a hostile message that is read field by field is more than a third of what a request may cost", () => {
  let slices = 0;
  for (const [index, { title, type: name, make }] of HOSTILE_MESSAGES.entries()) {
    if (index % 3 > 0 || /^a long/.test(title)) continue;
    const wire = make(512 * 1024);
    const reader = new Reader(wire);
    const slice = new Slice(reader.units);
    const steps = decoders.message(type(name)).decodeSteps(reader, wire.length, POLICY.depth, slice);
    for (let done = false; !done; slices++) {
      slice.begin();
      const before = slice.left;
      try {
        done = steps.next().done === true;
      } catch {
        done = true;
      }
      if (!done) assert.ok(before - slice.left < maxWorkUnits / 3, `${title}: ${before - slice.left} units`);
    }
  }
  assert.ok(slices > 30, String(slices));
});

test("no slice of a hostile message is more than a third of what a request may cost", () => {
  let slices = 0;
  for (const [index, { title, type: name, make }] of HOSTILE_MESSAGES.entries()) {
    if (index % 3 > 0) continue;
    // What has one element alone has nowhere to stop, and bytes that are copied cost nothing.
    if (/before a field that comes twice|Any|^a long|chains/.test(title)) continue;
    const wire = make(512 * 1024);
    const reader = new Reader(wire);
    const out = new JsonWriter();
    const slice = new Slice(reader.units);
    const steps = decoders.message(type(name)).steps(reader, wire.length, out, POLICY.depth, slice);
    for (let done = false; !done; slices++) {
      slice.begin(out);
      const before = { units: reader.units, length: out.length };
      try {
        done = steps.next().done === true;
      } catch {
        done = true;
      }
      assert.ok(
        before.units - reader.units < maxWorkUnits / 3,
        `${title}: ${before.units - reader.units} units`,
      );
      assert.ok(out.length - before.length < 2 << 20, `${title}: ${out.length - before.length} bytes`);
    }
  }
  assert.ok(slices > 30, String(slices));
});

test("a large response is printed in many turns of the event loop, several of them one after the other", async () => {
  const wire = rows(1 << 20);
  let turns = 0;
  let busy = true;
  const counting = (async () => {
    for (; busy; turns++) await turn();
  })();
  const order: number[] = [];
  const texts = await Promise.all(
    [1, 2].map(async index => {
      const text = await all.decodeInTurns(wire);
      order.push(index);
      return text;
    }),
  );
  busy = false;
  await counting;
  const expected = all.decode(wire);
  assert.ok(texts.every(text => text === expected));
  assert.deepEqual(order, [1, 2]);
  assert.ok(turns >= (2 * expected.length) / (2 << 20), `${turns} turns for ${expected.length} bytes each`);
});

test("a large response with a field that comes twice, or in an Any, is read field by field in many turns", async () => {
  const twice = Buffer.concat([rows(1 << 20), Buffer.from([...int(3, 1), ...int(3, 2)])]);
  const any = [...len(1, "x.y/three.All"), ...len(2, [...rows(1 << 20)])];
  const inAny = Buffer.from(len(207, any));
  for (const wire of [twice, inAny]) {
    let turns = 0;
    let busy = true;
    const counting = (async () => {
      for (; busy; turns++) await turn();
    })();
    const text = await all.decodeInTurns(wire);
    busy = false;
    await counting;
    assert.deepEqual(JSON.parse(text), JSON.parse(decodeWhole(wire)));
    assert.ok(turns >= 3, `${turns} turns`);
  }
});

test("a large response that is no message, or costs too much, is refused, and the next one is printed", async () => {
  const cut = rows(largeMessageBytes).subarray(0, -3);
  const dear = HOSTILE_MESSAGES.find(({ title }) => title === "packed floats of 1.1754942e-38");
  for (const [name, wire] of [
    ["three.All", cut],
    [dear?.type ?? "", dear?.make(4 << 20) ?? Buffer.alloc(0)],
  ] as const) {
    await assert.rejects(
      async () => codecs.message(type(name)).decodeInTurns(wire),
      error => error instanceof TranscodeError,
    );
  }
  assert.equal(all.decodeInTurns(Buffer.alloc(0)), "{}");
  const wire = rows(largeMessageBytes);
  assert.equal(await all.decodeInTurns(wire), all.decode(wire));
});
