import assert from "node:assert/strict";
import { test } from "node:test";
import { createCodecs } from "../../src/codec/codecs.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import { errorJson } from "../../src/protocols/connect/error.js";
import { type Failure, gatewayFailure } from "../../src/status/failure.js";

const { model } = await loadModel([]);
const codecs = createCodecs(model, {
  enums: "name",
  int64: "string",
  emitDefaults: false,
  names: "json",
  unknownFields: "ignore",
  depth: 100,
});

function detailsOf(typeUrl: string, value: Buffer): unknown {
  const failure: Failure = { ...gatewayFailure("ROUTE_NOT_FOUND", "m"), details: [{ typeUrl, value }] };
  return JSON.parse(errorJson(failure, (url, bytes) => codecs.renderAny(url, bytes))).details;
}

for (const [what, type, value, debug] of [
  ["a type of the descriptors", "google.rpc.ErrorInfo", Buffer.from("0a0152", "hex"), { reason: "R" }],
  ["an empty message", "google.rpc.ErrorInfo", Buffer.alloc(0), {}],
  ["a type with a JSON form of its own", "google.protobuf.Duration", Buffer.from("0802", "hex"), "2s"],
] as const) {
  test(`a detail of Connect's error that is ${what} has its JSON as debug`, () => {
    const details = detailsOf(`type.googleapis.com/${type}`, value);
    assert.deepEqual(details, [{ type, value: value.toString("base64").replace(/=+$/, ""), debug }]);
  });
}

for (const [what, type, value] of [
  ["of an unknown type", "own.v1.Detail", Buffer.from("0a0152", "hex")],
  ["malformed", "google.rpc.ErrorInfo", Buffer.from("ffff", "hex")],
] as const) {
  test(`a detail of Connect's error that is ${what} has no debug`, () => {
    const details = detailsOf(`type.googleapis.com/${type}`, value);
    assert.deepEqual(details, [{ type, value: value.toString("base64").replace(/=+$/, "") }]);
  });
}
