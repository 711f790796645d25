import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { frameTypes, nameProblem, readFrame } from "../../src/realtime/chat/frame-reader.js";

test("any text is read as a frame of a known type, or a fault with a message; nothing throws", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.jsonValue().map(value => JSON.stringify(value)),
      ),
      text => {
        const { frame, fault } = readFrame(text);
        if (frame === undefined)
          assert.ok(fault.failure.message.length > 0 && fault.failure.message.length < 400);
        else assert.ok(frameTypes.includes(frame.type));
      },
    ),
  );
});

const name = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 40 })
  .filter(each => nameProblem(each) === undefined);
const id = fc.option(fc.oneof(fc.maxSafeInteger(), fc.string({ minLength: 1, maxLength: 64 })), {
  nil: undefined,
});

test("every frame that keeps the schema is read as it is", () => {
  const frames = fc.oneof(
    fc.record({ type: fc.constant("send-message"), room_id: name, from: name, message: fc.string(), id }),
    fc.record({ type: fc.constantFrom("join-room", "leave-room"), room_id: name, from: name, id }),
    fc.record({
      type: fc.constant("join-room"),
      room_id: name,
      since: fc.record({ epoch: fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/), seq: fc.nat() }),
    }),
    fc.record({ type: fc.constant("presence"), room_id: name, id }),
  );
  fc.assert(
    fc.property(frames, frame => {
      const text = JSON.stringify(frame);
      assert.deepEqual(readFrame(text).frame, JSON.parse(text));
    }),
  );
});

test("an error of a frame names the field that is unknown, missing or of the wrong type", () => {
  const good: Readonly<Record<string, unknown>> = {
    type: "send-message",
    room_id: "x",
    from: "A",
    message: "m",
  };
  fc.assert(
    fc.property(fc.string({ maxLength: 20 }), fc.jsonValue(), (extra, value) => {
      fc.pre(!["type", "room_id", "from", "message", "key", "id"].includes(extra));
      const text = `${JSON.stringify(good).slice(0, -1)},${JSON.stringify(extra)}:${JSON.stringify(value)}}`;
      assert.equal(readFrame(text).fault?.failure.reason, "UNKNOWN_FIELD");
    }),
  );
  fc.assert(
    fc.property(fc.constantFrom("room_id", "from", "message"), fc.jsonValue(), (field, value) => {
      fc.pre(typeof value !== "string");
      const { fault } = readFrame(JSON.stringify({ ...good, [field]: value }));
      assert.ok(fault?.failure.message.startsWith(`${field}: expected`));
    }),
  );
  for (const field of ["room_id", "message"]) {
    const { fault } = readFrame(JSON.stringify({ ...good, [field]: undefined }));
    assert.equal(fault?.failure.message, `${field} not provided`);
  }
});

test("a fault carries the frame's id where it has one that can be used", () => {
  assert.equal(readFrame('{"type":"x","id":7}').fault?.id, 7);
  assert.equal(readFrame('{"type":"x","id":"a"}').fault?.id, "a");
  assert.equal(readFrame('{"type":"x","id":{}}').fault?.id, undefined);
  assert.equal(readFrame('{"type":"x","id":1.5}').fault?.id, undefined);
});

test("nesting as deep as a message can be is harmless", () => {
  const deep = "[".repeat(32_000) + "]".repeat(32_000);
  assert.equal(readFrame(deep).fault?.failure.reason, "INVALID_VALUE");
  assert.equal(
    readFrame(`{"type":"call","id":1,"method":"a/B","body":${deep}}`).fault?.failure.reason,
    "INVALID_VALUE",
  );
});
