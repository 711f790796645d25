import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { loadModel } from "../../src/descriptors/load/load.js";
import { createPace } from "../../src/net/pace.js";
import { type Files, folderOf, problems } from "./workspace.js";

const SHOP = `syntax = "proto3"; package shop; import "item.proto";
service Shop { rpc Get(Item) returns (Item); }`;
const ITEM = `syntax = "proto3"; package shop; message Item { string name = 1; }`;
const OTHER = `syntax = "proto3"; package other; import "vendor/gone.proto";
service Other { rpc Do(vendor.Gone) returns (vendor.Gone); }`;

async function load(t: TestContext, files: Files, services: readonly string[]) {
  const folder = folderOf(t, files);
  let names: string[] = [];
  const found = await problems(folder, async () => {
    const loaded = await loadModel([{ kind: "protos", folder, include: [] }], createPace(), services);
    names = [...loaded.model.services.keys()];
    return loaded;
  });
  return { found, names };
}

describe("files of a folder that do not load", () => {
  const files = { "shop.proto": SHOP, "item.proto": ITEM };

  it("a file with a missing import that no service in use needs is left out with a warning", async t => {
    const { found, names } = await load(t, { ...files, "other.proto": OTHER }, ["shop.Shop"]);
    assert.deepEqual(names, ["shop.Shop"]);
    assert.equal(found.length, 1);
    assert.match(
      found[0]!,
      /^other\.proto:1:42: warning: left out, as no service in use needs it: imports "vendor\/gone\.proto", which was not found/,
    );
  });

  it("a file that imports one that is left out is left out, too", async t => {
    const more = {
      "broken.proto": "syntax = proto3",
      "first.proto": `syntax = "proto3"; package f; import "broken.proto"; message F {}`,
      "second.proto": `syntax = "proto3"; package s; import "first.proto"; message S { f.F f = 1; }`,
    };
    const { found, names } = await load(t, { ...files, ...more }, ["shop.**"]);
    assert.deepEqual(names, ["shop.Shop"]);
    assert.deepEqual(found.map(line => line.replace(/: warning.*/, "")).sort(), [
      "broken.proto:1:10",
      "first.proto:1:38",
      "second.proto:1:38",
    ]);
  });

  it("errors of options and of types in files that no service needs are warnings", async t => {
    const more = {
      "type.proto": `syntax = "proto3"; package a; message A { Gone gone = 1; }`,
      "option.proto": `syntax = "proto3"; package b; message B { option deprecated = "yes"; }`,
      "twice.proto": `syntax = "proto3"; package shop; message Item { int32 number = 1; }`,
    };
    const { found, names } = await load(t, { ...files, ...more }, ["shop.Shop"]);
    assert.deepEqual(names, ["shop.Shop"]);
    assert.deepEqual(found.map(line => line.replace(/: left out.*/, "")).sort(), [
      "option.proto:1:50: warning",
      "twice.proto: warning",
      "type.proto:1:43: warning",
    ]);
  });

  it("an error in a file that a service in use needs stays an error, and the others are warnings", async t => {
    const more = { "item.proto": ITEM.replace("string name", "Gone name"), "other.proto": OTHER };
    const { found } = await load(t, { ...files, ...more }, ["shop.Shop"]);
    assert.deepEqual(found.map(line => line.replace(/(warning|error).*/, "$1")).sort(), [
      "item.proto:1:49: error",
      "other.proto:1:42: warning",
    ]);
  });

  it("a file that cannot be parsed stays an error where a service in use is in no other file", async t => {
    const { found } = await load(t, { ...files, "other.proto": "syntax = proto3" }, [
      "shop.Shop",
      "other.Other",
    ]);
    assert.equal(found.length, 1);
    assert.match(found[0]!, /^other\.proto:1:10: error: /);
  });

  it("every file is needed where the services are not known", async t => {
    const folder = folderOf(t, { ...files, "other.proto": OTHER });
    await assert.rejects(loadModel([{ kind: "protos", folder, include: [] }]), /vendor\/gone\.proto/);
  });
});
