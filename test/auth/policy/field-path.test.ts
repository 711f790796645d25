import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type FieldValue, fieldReader, type PathStep } from "../../../src/auth/policy/field-path.js";
import { TranscodeError } from "../../../src/codec/error.js";
import type { MessageType } from "../../../src/descriptors/model.js";
import { WireWriter } from "../../../src/wire/writer.js";
import { message, order, reference } from "./guarded.js";

const type = reference.lookupType("guarded.Order");

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const text = fc.string({ unit: "grapheme", maxLength: 5 });
const level = fc.constantFrom(0, 1, 2);
const owner = fc.letrec(tie => ({
  owner: fc.record({ id: text, number: int64, deputy: tie("owner") }, { requiredKeys: [] }),
})).owner;

/** Some of the fields; several of these one after the other are one message. */
const part = fc.record(
  {
    user_id: text,
    number: int64,
    big: uint64,
    small: int32,
    zig: int32,
    zag: int64,
    four: uint32,
    eight: uint64,
    minus_four: int32,
    minus_eight: int64,
    count: uint32,
    public: fc.boolean(),
    level,
    owner,
    orgs: fc.array(text, { maxLength: 3 }),
    ids: fc.array(int64, { maxLength: 3 }),
    levels: fc.array(level, { maxLength: 3 }),
    members: fc.array(owner, { maxLength: 2 }),
    labels: fc.dictionary(fc.constantFrom("a", "b", ""), text),
    people: fc.dictionary(fc.constantFrom("a", "b"), owner),
    note: text,
    deltas: fc.array(int32, { maxLength: 3 }),
  },
  { requiredKeys: [] },
);
const payer = fc.oneof(
  fc.constant({}),
  fc.record({ card: text }),
  fc.record({ account: owner }),
  fc.record({ voucher: int64 }),
);
const parts = fc.array(
  fc.tuple(part, payer).map(([one, two]) => ({ ...one, ...two })),
  { minLength: 1, maxLength: 4 },
);

const paths = [
  "user_id",
  "number",
  "big",
  "small",
  "zig",
  "zag",
  "four",
  "eight",
  "minus_four",
  "minus_eight",
  "count",
  "public",
  "level",
  "owner.id",
  "owner.number",
  "owner.deputy.id",
  "owner.deputy.deputy.number",
  "orgs",
  "ids",
  "levels",
  "deltas",
  "note",
  "card",
  "voucher",
  "account.id",
  "account.deputy.id",
  "labels[a]",
  "labels[]",
  "people[a].id",
  "people[b].deputy.number",
];

function stepsOf(path: string): PathStep[] {
  let at: MessageType | undefined = message("Order");
  return path.split(".").map(part => {
    const [, name = "", key] = /^(\w+)(?:\[(\w*)\])?$/.exec(part) ?? [];
    const field = at?.fieldsByName.get(name);
    assert.ok(field !== undefined, path);
    at = field.map === undefined ? field.message : field.map.value.message;
    return { field, key };
  });
}

function readerOf(path: string) {
  const steps = stepsOf(path);
  return fieldReader(steps.slice(0, -1), steps.at(-1) as PathStep);
}

/** What protobufjs finds at a path: undefined where nothing is set, null where there is no such map entry. */
function expectedAt(decoded: unknown, path: string): unknown {
  let value: unknown = decoded;
  for (const part of path.split(".")) {
    const [, name = "", key] = /^(\w+)(?:\[(\w*)\])?$/.exec(part) ?? [];
    value = (value as Record<string, unknown> | undefined)?.[name];
    if (key === undefined) continue;
    if (value === undefined || !Object.hasOwn(value as object, key)) return null;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

/** Numbers of any width as text, so that those of protobufjs and ours meet. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === "bigint" || typeof value === "number" ? String(value) : value;
}

function isDefault(value: FieldValue): boolean {
  return value === "" || value === 0n || value === 0 || value === false;
}

test("a path reads from any bytes what protobufjs decodes them to: the last value, merged, of the right member", () => {
  const readers = paths.map(path => [path, readerOf(path)] as const);
  fc.assert(
    fc.property(parts, list => {
      const wire = Buffer.concat(list.map(fields => order(fields)));
      const decoded = type.toObject(type.decode(wire), { longs: String });
      for (const [path, read] of readers) {
        const expected = expectedAt(decoded, path);
        const found = read(wire);
        if (expected === null) assert.equal(found.kind, "nowhere", path);
        else if (found.kind !== "set") {
          assert.equal(found.kind, "unset", path);
          assert.ok(
            expected === undefined || plain(expected) === "0" || expected === "" || expected === false,
            path,
          );
        } else if (expected === undefined) assert.ok(isDefault(found.value), path);
        else assert.deepEqual(plain(found.value), plain(expected), path);
      }
    }),
    { numRuns: 500 },
  );
});

test("lists are read packed and unpacked, also when both come", () => {
  const writer = new WireWriter();
  writer.tag(19, 0);
  writer.varint(1n);
  writer.tag(19, 2);
  writer.delimited(Uint8Array.of(2, 3));
  writer.tag(19, 0);
  writer.varint(-4n);
  assert.deepEqual(readerOf("ids")(writer.finish()), { kind: "set", value: [1n, 2n, 3n, -4n] });
});

test("a field of another wire type is not the field", () => {
  const writer = new WireWriter();
  writer.tag(1, 2);
  writer.delimited(Buffer.from("jdoe"));
  writer.tag(1, 0);
  writer.varint(5n);
  writer.tag(2, 2);
  writer.delimited(Uint8Array.of(7));
  writer.tag(2, 1);
  writer.fixed(9n, 8);
  const wire = writer.finish();
  assert.deepEqual(readerOf("user_id")(wire), { kind: "set", value: "jdoe" });
  assert.deepEqual(readerOf("number")(wire), { kind: "unset" });
});

test("reading a field from malformed message bytes is an error, never a value", () => {
  const whole = order({
    user_id: "jdoe",
    owner: { id: "x".repeat(20) },
    ids: [1, 2, 3],
    people: { a: { id: "y" } },
  });
  const readers = paths.map(readerOf);
  const whatever = (wire: Uint8Array): void => {
    for (const read of readers) {
      try {
        read(wire);
      } catch (error) {
        assert.ok(error instanceof TranscodeError, String(error));
      }
    }
  };
  for (let length = 0; length < whole.length; length++) whatever(whole.subarray(0, length));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), whatever), { numRuns: 1000 });
  assert.throws(() => readerOf("owner.id")(Uint8Array.of(0x8a, 1, 200)), TranscodeError);
});
