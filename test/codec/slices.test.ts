import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { createCodecs } from "../../src/codec/codecs.js";
import { TranscodeError } from "../../src/codec/error.js";
import { Encoders } from "../../src/codec/json-to-wire/encoders.js";
import { BAIL, JsonCursor } from "../../src/codec/json-to-wire/json-cursor.js";
import { RequestPlan } from "../../src/codec/json-to-wire/request.js";
import { Writer } from "../../src/codec/json-to-wire/writer.js";
import { Decoders } from "../../src/codec/wire-to-json/decoders.js";
import { JsonWriter } from "../../src/codec/wire-to-json/json-writer.js";
import { Reader } from "../../src/codec/wire-to-json/reader.js";
import { largeMessageBytes, largeTextBytes, maxWorkUnits, Slice } from "../../src/codec/work.js";
import { HOSTILE_MESSAGES, HOSTILE_TEXTS } from "./hostile-inputs.js";
import { ALL } from "./json-arbitrary.js";
import { encode, model, POLICY, type } from "./schema.js";
import { int, len } from "./wire-bytes.js";

const codecs = createCodecs(model, POLICY);
const encoders = new Encoders(model, POLICY);
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

/** Lists, maps, times and messages. */
const row = JSON.stringify({
  fString: "größer",
  timestamp: "2024-05-06T07:08:09.123Z",
  mString: { env: "prod", team: "core" },
  rInt32: [1, 2, 3],
  struct: { a: [1, { b: null }], c: "text" },
  fAll: { rAll: [{ fColor: "RED" }, {}] },
});

/** A message of many rows. */
function rows(bytes: number): Buffer {
  const one = encode("three.All", `{"rAll":[${row}]}`);
  return Buffer.concat(Array.from({ length: Math.ceil(bytes / one.length) }, () => one));
}

/** Does work, and counts the turns of the event loop that others have meanwhile. */
async function countTurns<T>(work: () => Promise<T>): Promise<{ result: T; turns: number }> {
  let turns = 0;
  let busy = true;
  const counting = (async () => {
    for (; busy; turns++) await turn();
  })();
  try {
    const result = await work();
    return { result, turns };
  } finally {
    busy = false;
    await counting;
  }
}

/** The JSON text of a message of many rows, with more members before them. */
function texts(bytes: number, members = ""): Buffer {
  return Buffer.from(
    `{${members}"rAll":[${Array(Math.ceil(bytes / row.length))
      .fill(row)
      .join()}]}`,
  );
}

/** A plan whose whole body is the message, but for the field that the path binds. */
function planOf(variable: string): RequestPlan {
  return new RequestPlan({
    input: type("three.All"),
    codecs,
    variables: [[type("three.All").fieldsByName.get(variable)!]],
    body: { kind: "all" },
    query: { unknown: "reject", ignore: new Set() },
    fillUpdateMask: false,
    depth: 100,
  });
}

test("printing in steps gives the same text as printing at once, wherever it stops", () => {
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

test("decoding field by field in steps gives the same message as decoding at once, wherever it stops", () => {
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
  const order: number[] = [];
  const { result: texts, turns } = await countTurns(() =>
    Promise.all(
      [1, 2].map(async index => {
        const text = await all.decodeInTurns(wire);
        order.push(index);
        return text;
      }),
    ),
  );
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
    const { result: text, turns } = await countTurns(async () => all.decodeInTurns(wire));
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

test("a text that is copied in steps becomes what it becomes at once, wherever it stops", () => {
  fc.assert(
    fc.property(ALL, json => {
      const text = Buffer.from(JSON.stringify(json));
      const [atOnce, inSteps] = [new Writer(), new Writer()];
      const node = encoders.message(type("three.All"));
      node.encodeText(new JsonCursor(text, maxWorkUnits), atOnce, POLICY.depth);
      const cursor = new JsonCursor(text, maxWorkUnits);
      for (const _ of node.encodeTextSteps(cursor, inSteps, POLICY.depth, new Always(0)));
      assert.deepEqual(inSteps.finish(), atOnce.finish());
    }),
    { numRuns: 30 },
  );
});

test("no slice of a hostile text is more than a third of what a request may cost", () => {
  let slices = 0;
  for (const [index, { title, type: name, make }] of HOSTILE_TEXTS.entries()) {
    // What has one value alone has nowhere to stop, and an Any is read as a tree.
    if (index % 8 > 0 || /Any|^a long|one /.test(title)) continue;
    const out = new Writer();
    const slice = new Slice(maxWorkUnits);
    try {
      const cursor = new JsonCursor(make(512 * 1024), maxWorkUnits);
      const steps = encoders.message(type(name)).encodeTextSteps(cursor, out, POLICY.depth, slice);
      for (let done = false; !done; slices++) {
        slice.begin(out);
        const before = { units: cursor.units, length: out.length };
        done = steps.next().done === true;
        assert.ok(before.units - cursor.units < maxWorkUnits / 3, `${title}: ${before.units - cursor.units}`);
        assert.ok(out.length - before.length < 2 << 20, `${title}: ${out.length - before.length} bytes`);
      }
    } catch (error) {
      if (error !== BAIL && !(error instanceof TranscodeError)) throw error;
    }
  }
  assert.ok(slices > 20, String(slices));
});

test("a large request is read in many turns of the event loop, several of them one after the other", async () => {
  const text = texts(3 << 19);
  const plan = planOf("f_int32");
  const body = { contentType: "application/json", bytes: text };
  const order: number[] = [];
  const { result, turns } = await countTurns(() =>
    Promise.all(
      [1, 2].map(async index => {
        const message = await plan.encodeInTurns([`${index}`], "", body);
        order.push(index);
        return message;
      }),
    ),
  );
  for (const [index, message] of result.entries())
    assert.ok(Buffer.from(message).equals(plan.encode([`${index + 1}`], "", body)));
  assert.deepEqual(order, [1, 2]);
  assert.ok(turns >= 5, `${turns} turns`);
});

test("a large request that one pass does not understand is read as a tree, in turns of its own", async () => {
  const text = texts(256 << 10, '"f\\u005fint64":7,');
  const plan = planOf("f_int32");
  const body = { contentType: "application/json", bytes: text };
  const requests: (() => Uint8Array | Promise<Uint8Array>)[] = [
    () => plan.encodeInTurns(["1"], "", body),
    () => plan.encodeNextInTurns(["1"], body),
    () => all.encodeTextInTurns(text, new Writer()),
  ];
  const expected = [
    plan.encode(["1"], "", body),
    plan.encodeNext(["1"], body),
    encode("three.All", text.toString()),
  ];
  for (const [index, request] of requests.entries()) {
    const { result, turns } = await countTurns(async () => request());
    assert.ok(Buffer.from(result).equals(expected[index]!));
    assert.ok(turns >= 2, `${turns} turns`);
  }
});

test("a large text that is wrong is refused as one pass of a small one is, and the next one is read", async () => {
  const plan = planOf("f_int32");
  const bad = texts(largeTextBytes, '"fInt64":"x",');
  const body = { contentType: "application/json", bytes: bad };
  const refusal = (error: unknown): boolean => {
    assert.ok(error instanceof TranscodeError);
    assert.equal(error.field, "fInt64");
    return true;
  };
  await assert.rejects(async () => plan.encodeInTurns(["1"], "", body), refusal);
  await assert.rejects(async () => all.encodeTextInTurns(bad, new Writer()), refusal);
  const good = texts(largeTextBytes);
  const message = await all.encodeTextInTurns(good, new Writer());
  const atOnce = new Writer();
  all.encodeText(good, atOnce);
  assert.ok(Buffer.from(message).equals(atOnce.finish()));
});

test("a small text is encoded at once", () => {
  assert.ok(all.encodeTextInTurns(Buffer.from(row), new Writer()) instanceof Uint8Array);
  assert.ok(
    planOf("f_int32").encodeInTurns(["1"], "", { contentType: "", bytes: Buffer.from(row) }) instanceof
      Uint8Array,
  );
});
