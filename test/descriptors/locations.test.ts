import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type DescriptorInput, loadModel } from "../../src/descriptors/load/load.js";
import type { Model } from "../../src/descriptors/model.js";
import { createPace } from "../../src/net/pace.js";
import { folderOf } from "./workspace.js";

const text = `syntax = "proto3"; package p;
// Things.
service S {
  // Gets one.
  rpc Get(M) returns (M);
}
// A thing.
message M {
  string id = 1; // Its name.
}
`;

function placesOf(model: Model) {
  const method = model.services.get("p.S")?.methods[0];
  const message = model.message("p.M");
  return [method, message, message?.fields[0]].map(each => [each?.line, each?.comment]);
}

const load = async (input: DescriptorInput, comments: boolean) =>
  (await loadModel([input], createPace(), undefined, comments)).model;

test("comments and lines that are not kept are read from the file or the set on demand, unless that has changed", async t => {
  const folder = folderOf(t, { "a.proto": text });
  const protos: DescriptorInput = { kind: "protos", folder, include: [] };
  const kept = await load(protos, true);
  const places = [
    [5, "Gets one."],
    [8, "A thing."],
    [9, "Its name."],
  ];
  assert.deepEqual(placesOf(kept), places);
  const set = join(folderOf(t, { "set.binpb": kept.descriptorSet() }), "set.binpb");
  for (const [input, file] of [
    [protos, join(folder, "a.proto")],
    [{ kind: "set", file: set }, set],
  ] as const) {
    assert.deepEqual(placesOf(await load(input, false)), places);
    const asked = await load(input, false);
    appendFileSync(file, " ");
    assert.deepEqual(
      placesOf(asked),
      [
        [0, ""],
        [0, ""],
        [0, ""],
      ],
      file,
    );
  }
});
