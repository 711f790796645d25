import { deepEqual } from "node:assert/strict";
import type protobuf from "protobufjs";
import type { JsonPolicy } from "../../src/codec/codec.js";
import { createCodecs } from "../../src/codec/codecs.js";
import { parseJson } from "../../src/codec/json-to-wire/parse-json.js";
import { Writer } from "../../src/codec/json-to-wire/writer.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import type { Model } from "../../src/descriptors/model.js";
import { message, reading, rows, smallReply } from "../content.js";
import type { Context, Finding, Group } from "../group.js";
import { encode, loadTypes, protoFolders } from "../protobuf.js";
import { interleave, microRounds, type Operation } from "./interleave.js";

const policy: JsonPolicy = {
  enums: "name",
  int64: "string",
  emitDefaults: false,
  names: "json",
  unknownFields: "reject",
  depth: 100,
};

const messages = [
  { name: "small message", type: "bench.v1.GetMessageResponse", json: smallReply },
  { name: "1 KiB message", type: "bench.v1.Message", json: message },
  { name: "1,000 rows", type: "bench.v1.ListRowsResponse", json: rows },
  { name: "many int64, double, timestamp fields", type: "bench.v1.Reading", json: reading },
] as const;

const baseline = "protobufjs ext/protojson";

/** Both directions of the codec, bytes to bytes. */
export const codecGroup: Group = {
  name: "codec",
  method: [
    "In this process: CPU of all its threads (getrusage), bytes allocated from growth of the JavaScript heap.",
    "encode: parsed JSON → wire bytes. parse and encode: JSON bytes → wire bytes, as requests take it. decode: wire bytes → JSON text.",
    "Both sides give the same result, which is checked first.",
  ],
  async *run(context: Context) {
    const types = loadTypes();
    const { model } = await loadModel([
      { kind: "protos", folder: protoFolders[0], include: [protoFolders[1]] },
    ]);
    for (const { name, type, json } of messages) {
      const reference = types.lookupType(type);
      yield encoding(context, name, json, model, reference);
      yield parsing(context, name, json, model, reference);
      yield decoding(context, name, json, model, reference);
    }
  },
};

function encoding(
  context: Context,
  name: string,
  json: object,
  model: Model,
  reference: protobuf.Type,
): Finding {
  const codec = codecOf(model, reference);
  const writer = new Writer();
  const text = JSON.stringify(json);
  const own = parseJson(Buffer.from(text), { depth: policy.depth });
  const parsed: unknown = JSON.parse(text);
  const subject = () => {
    writer.reset();
    codec.encode(own, writer);
    return writer.finish();
  };
  const rival = () => reference.encode(reference.fromJson(parsed)).finish();
  sameMessage(reference, subject(), rival());
  return finding(context, `encode ${name}`, subject, rival);
}

function parsing(
  context: Context,
  name: string,
  json: object,
  model: Model,
  reference: protobuf.Type,
): Finding {
  const codec = codecOf(model, reference);
  const writer = new Writer();
  const bytes = Buffer.from(JSON.stringify(json));
  const subject = () => {
    writer.reset();
    codec.encodeText(bytes, writer);
    return writer.finish();
  };
  const rival = () => reference.encode(reference.fromJson(JSON.parse(bytes.toString()))).finish();
  sameMessage(reference, subject(), rival());
  return finding(context, `parse and encode ${name} (${bytes.length} bytes of JSON)`, subject, rival);
}

function sameMessage(type: protobuf.Type, a: Uint8Array, b: Uint8Array): void {
  deepEqual(type.toJson(type.decode(a)), type.toJson(type.decode(b)));
}

function decoding(
  context: Context,
  name: string,
  json: object,
  model: Model,
  reference: protobuf.Type,
): Finding {
  const codec = codecOf(model, reference);
  const bytes = encode(reference, json);
  const subject = () => codec.decode(bytes);
  const rival = () => JSON.stringify(reference.toJson(reference.decode(bytes)));
  deepEqual(JSON.parse(subject()), JSON.parse(rival()));
  return finding(context, `decode ${name} (${bytes.length} bytes)`, subject, rival);
}

function codecOf(model: Model, reference: protobuf.Type) {
  const fullName = reference.fullName.slice(1);
  const type = model.message(fullName);
  if (type === undefined) throw new Error(`the bench's proto has no ${fullName}`);
  return createCodecs(model, policy).message(type);
}

function finding({ quick }: Context, workload: string, subject: Operation, rival: Operation): Finding {
  const comparison = { group: "codec", workload, subject: "protogate", baseline };
  return { workload, rows: interleave(comparison, subject, rival, microRounds(quick)), remarks: [] };
}
