import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { decodeSet } from "../../src/descriptors/descriptor-codec.js";
import { type DescriptorInput, loadModel } from "../../src/descriptors/load/load.js";
import type { Model } from "../../src/descriptors/model.js";
import { createPace } from "../../src/net/pace.js";
import { compileValidators } from "../../src/validation/compile.js";
import { bundle, encode, folder, typeOf } from "./model.js";

const found = spawnSync("protoc", ["--version"]);
const skip = found.error === undefined ? false : "protoc is not installed";

const messages: readonly [name: string, json: unknown][] = [
  ["Texts", { name: "a", color: "blue" }],
  ["Lists", { tags: ["a", "a"], counts: { b: 0 } }],
  ["Choices", { color: 7 }],
  ["Together", {}],
  ["Expressions", { from: 3, to: 2 }],
  ["Shout", { text: "hey" }],
  ["Legacy", { name: "a", part: { text: "x" } }],
  ["Tree", { name: "a", children: [{}] }],
];

async function judged(model: Model): Promise<unknown[]> {
  const types = messages.map(([name]) => typeOf(model, name));
  const { byType, diagnostics } = await compileValidators(model, types, createPace());
  assert.deepEqual(diagnostics, []);
  return messages.map(([, json], index) => {
    const type = types[index]!;
    return byType.get(type)?.(encode(type, json, model));
  });
}

test("a descriptor set and reflected files carry the same rules as the protos that they were made from", {
  skip,
}, async t => {
  const temporary = mkdtempSync(join(tmpdir(), "protogate-validation-"));
  t.after(() => rmSync(temporary, { recursive: true, force: true }));
  const compile = (file: string, ...more: string[]): Uint8Array => {
    const path = join(temporary, file);
    const paths = [`-I${folder}`, `-I${bundle}`, `-o${path}`, ...more];
    execFileSync("protoc", [...paths, "edge/rules.proto", "edge/predefined.proto"]);
    return readFileSync(path);
  };
  const whole = compile("whole.binpb", "--include_imports");
  compile("bare.binpb");
  const inputs: Readonly<Record<string, DescriptorInput>> = {
    "a set": { kind: "set", file: join(temporary, "whole.binpb") },
    "a set without its imports": { kind: "set", file: join(temporary, "bare.binpb") },
    "reflected files": { kind: "files", origin: "reflection", files: decodeSet(whole) },
  };
  const { model } = await loadModel([{ kind: "protos", folder, include: [] }]);
  const expected = await judged(model);
  assert.ok(expected.every(each => Array.isArray(each) && each.length > 0));
  for (const [what, input] of Object.entries(inputs)) {
    const other = await loadModel([input]);
    assert.deepEqual(await judged(other.model), expected, what);
  }
});

test("protos and reflection may carry copies of validate.proto that differ", { skip }, async t => {
  const temporary = mkdtempSync(join(tmpdir(), "protogate-validation-"));
  t.after(() => rmSync(temporary, { recursive: true, force: true }));
  const older = join(temporary, "validate.binpb");
  execFileSync("protoc", [
    `-I${folder}/../older`,
    `-I${bundle}`,
    `-o${older}`,
    "buf/validate/validate.proto",
  ]);
  const reflected = { kind: "files", origin: "reflection", files: decodeSet(readFileSync(older)) } as const;
  const { model } = await loadModel([{ kind: "protos", folder, include: [] }, reflected]);
  const { model: alone } = await loadModel([{ kind: "protos", folder, include: [] }]);
  assert.deepEqual(await judged(model), await judged(alone));
});
