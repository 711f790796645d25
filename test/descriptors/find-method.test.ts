import assert from "node:assert/strict";
import { test } from "node:test";
import { findMethod, findUnaryMethod } from "../../src/descriptors/find-method.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import { createPace } from "../../src/net/pace.js";
import { Workspace } from "../config/workspace.js";

const workspace = new Workspace();
workspace.write(
  "protos/t.proto",
  'syntax = "proto3"; package t; message M {} service Songs { rpc Play(M) returns (M); rpc Watch(M) returns (stream M); }',
);
const folder = workspace.path("protos");
const { model } = await loadModel([{ kind: "protos", folder, include: [] }], createPace());

function problemOf(find: typeof findMethod, name: string): readonly (string | undefined)[] {
  const problems: (string | undefined)[] = [];
  find(name, model, (message, suggestion) => problems.push(message, suggestion));
  return problems;
}

test("a method is found by package.Service/Method", () => {
  assert.equal(findMethod("t.Songs/Play", model, assert.fail)?.path, "/t.Songs/Play");
  assert.equal(findMethod("t.Songs/Watch", model, assert.fail)?.path, "/t.Songs/Watch");
});

test("a name that no method has is reported with the nearest full name", () => {
  assert.deepEqual(problemOf(findMethod, "t.Song/Play"), [
    'the descriptors have no service "t.Song"',
    "t.Songs/Play",
  ]);
  assert.deepEqual(problemOf(findMethod, "t.Songs/Plau"), ['t.Songs has no method "Plau"', "t.Songs/Play"]);
  assert.deepEqual(problemOf(findMethod, "t.Songs"), ['t.Songs has no method ""', undefined]);
});

test("a method that streams is no unary method", () => {
  assert.deepEqual(problemOf(findUnaryMethod, "t.Songs/Watch"), [
    "t.Songs/Watch streams; expected a unary method",
    undefined,
  ]);
});
