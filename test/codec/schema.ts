import assert from "node:assert/strict";
import { join } from "node:path";
import protobuf from "protobufjs";
import type { JsonPolicy } from "../../src/codec/codec.js";
import { createCodecs } from "../../src/codec/codecs.js";
import { TranscodeError } from "../../src/codec/error.js";
import { parseJson } from "../../src/codec/json-to-wire/parse-json.js";
import { Writer } from "../../src/codec/json-to-wire/writer.js";
import type { MessageType } from "../../src/descriptors/model.js";
import { loadUnderTest } from "../descriptor-source.js";

const FOLDER = join(import.meta.dirname, "protos");

/** Every kind of field in proto3, proto2 and an edition. */
export const { model } = await loadUnderTest(FOLDER);

/** The same schema as protobufjs sees it: the reference for messages and JSON. */
export const root = new protobuf.Root();
for (const name of ["three", "two", "edition"]) root.loadSync(join(FOLDER, `${name}.proto`));
root.resolveAll();

export const POLICY: JsonPolicy = {
  enums: "name",
  int64: "string",
  emitDefaults: false,
  names: "json",
  unknownFields: "reject",
  depth: 100,
};

/** A type of the schema by its full name. */
export function type(name: string): MessageType {
  const found = model.message(name);
  if (found === undefined) throw new Error(`no message ${name}`);
  return found;
}

export function decode(name: string, wire: Uint8Array, policy: Partial<JsonPolicy> = {}): string {
  return createCodecs(model, { ...POLICY, ...policy })
    .message(type(name))
    .decode(wire);
}

const writer = new Writer();

/** JSON → wire by way of the tree, after a look that the one pass over the text gives the same message or error. */
export function encode(name: string, json: string, policy: Partial<JsonPolicy> = {}): Uint8Array {
  const text = Buffer.from(json);
  const codec = createCodecs(model, { ...POLICY, ...policy }).message(type(name));
  const wire = attempt(() => codec.encode(parseJson(text, { depth: policy.depth ?? POLICY.depth }), writer));
  const copied = attempt(() => codec.encodeText(text, writer));
  if (wire instanceof TranscodeError) {
    assert.ok(copied instanceof TranscodeError, `only the tree refuses ${json}: ${wire.message}`);
    assert.deepEqual([copied.reason, copied.field, copied.message], [wire.reason, wire.field, wire.message]);
    throw wire;
  }
  if (copied instanceof TranscodeError) throw copied;
  assert.deepEqual(JSON.parse(decode(name, copied)), JSON.parse(decode(name, wire)), json);
  return wire;
}

function attempt(write: () => void): Uint8Array | TranscodeError {
  writer.reset();
  try {
    write();
  } catch (error) {
    if (error instanceof TranscodeError) return error;
    throw error;
  }
  return writer.finish();
}

/** JSON → wire → JSON. */
export function echo(name: string, json: string, policy: Partial<JsonPolicy> = {}): string {
  return decode(name, encode(name, json, policy), policy);
}
