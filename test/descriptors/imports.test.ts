import assert from "node:assert/strict";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { loadModel } from "../../src/descriptors/load/load.js";
import { folderOf, loadProtos, problems, problemsOf } from "./workspace.js";

const HEAD = 'syntax = "proto3"; package t;';

describe("imports", () => {
  it("imports are looked for in the folder, then in the include folders, then in the bundle", async t => {
    const folder = folderOf(t, {
      "api/a.proto": `${HEAD} import "api/b.proto"; import "lib/c.proto"; import "google/type/money.proto";
        message A { B b = 1; lib.C c = 2; google.type.Money money = 3; }`,
      "api/b.proto": `${HEAD} message B {}`,
    });
    const first = folderOf(t, {
      "lib/c.proto": 'syntax = "proto3"; package lib; import "lib/d.proto"; message C { D d = 1; }',
    });
    const second = folderOf(t, {
      "lib/c.proto": "this one is never read",
      "lib/d.proto": 'syntax = "proto3"; package lib; message D {}',
      "lib/unused.proto": "nor is this one",
    });
    const { model } = await loadModel([{ kind: "protos", folder, include: [first, second] }]);
    const fields = model.message("t.A")!.fields.map(field => field.message?.fullName);
    assert.deepEqual(fields, ["t.B", "lib.C", "google.type.Money"]);
    assert.equal(model.files.get("lib/c.proto")?.origin, join(first, "lib/c.proto"));
    assert.equal(model.files.has("lib/unused.proto"), false);
  });

  it("imports that are missing say where they were looked for and what is near", async t => {
    const files = { "api/a.proto": `${HEAD}\nimport "api/blog.prot";`, "api/blog.proto": HEAD };
    assert.deepEqual(await problemsOf(t, files), [
      'api/a.proto:2:8: error: imports "api/blog.prot", which was not found in <folder>, <bundle>; did you mean "api/blog.proto"?',
    ]);
  });

  it("the error for an import from the wrong folder points to the file with the longer name", async t => {
    const files = {
      "some/long/root/api/a.proto": `${HEAD} import "api/b.proto";`,
      "some/long/root/api/b.proto": HEAD,
    };
    assert.deepEqual(await problemsOf(t, files), [
      'some/long/root/api/a.proto:1:38: error: imports "api/b.proto", which was not found in <folder>, <bundle>; it is below some/long/root: use that folder as "protos", or add it to "include"; did you mean "some/long/root/api/b.proto"?',
    ]);
  });

  it("imports that are missing do not make types unknown as well", async t => {
    const files = { "a.proto": `${HEAD} import "nowhere/near/anything.proto"; message A { Missing m = 1; }` };
    assert.deepEqual(await problemsOf(t, files), [
      'a.proto:1:38: error: imports "nowhere/near/anything.proto", which was not found in <folder>, <bundle>',
    ]);
  });

  it("imports of a file with a syntax error are reported there alone", async t => {
    const files = { "a.proto": `${HEAD} import "b.proto"; message A { B b = 1; }`, "b.proto": "message" };
    assert.deepEqual(await problemsOf(t, files), [
      "b.proto:1:8: error: expected the name of the message but found the end of the file",
    ]);
  });

  it("imports in a circle are an error that names the circle", async t => {
    const files = {
      "a.proto": `${HEAD} import "b.proto";`,
      "b.proto": `${HEAD} import "c.proto";`,
      "c.proto": `${HEAD}\nimport "b.proto";`,
    };
    assert.deepEqual(await problemsOf(t, files), [
      'c.proto:2:8: error: imports form a circle: "b.proto" imports "c.proto" imports "b.proto"',
    ]);
  });

  it("make types visible only where they are imported, or imported publicly", async t => {
    const files = {
      "a.proto": `${HEAD} message A {}`,
      "b.proto": `${HEAD} import public "a.proto"; message B { A a = 1; }`,
      "c.proto": `${HEAD} import "b.proto"; message C { A a = 1; B b = 2; }`,
      "d.proto": `${HEAD} import "c.proto";\nmessage D {\n  t.B b = 1; }`,
    };
    assert.deepEqual(await problemsOf(t, files), [
      'd.proto:3:3: error: "t.B" is defined in "b.proto", which this file does not import (at t.D.b)',
    ]);
  });

  it("imports of impossible names are missing, not a failure", async t => {
    const found = await problemsOf(t, {
      "a.proto": `${HEAD} import "x\\000.proto"; import "${"y".repeat(5000)}.proto";`,
    });
    assert.equal(found.length, 2);
    for (const line of found) assert.match(line, /imports ".*", which was not found/);
  });

  it("imports of a single file bring what it needs and nothing else", async t => {
    const folder = folderOf(t, {
      "etcd/api/rpc.proto": `${HEAD} import "etcd/api/kv.proto"; message R { K k = 1; }`,
      "etcd/api/kv.proto": `${HEAD} message K {}`,
      "etcd/api/broken.proto": "never read",
    });
    const file = join(folder, "etcd/api/rpc.proto");
    const { model, diagnostics } = await loadModel([{ kind: "protos", folder: file, include: [folder] }]);
    assert.deepEqual(diagnostics, []);
    assert.equal(model.message("t.R")?.fields[0]?.message?.file.name, "etcd/api/kv.proto");
    assert.equal(model.message("t.R")?.file.name, "etcd/api/rpc.proto");
    const beside = folderOf(t, {
      "a.proto": `${HEAD} import "b.proto"; message A { B b = 1; }`,
      "b.proto": `${HEAD} message B {}`,
    });
    const alone = await loadModel([{ kind: "protos", folder: join(beside, "a.proto"), include: [] }]);
    assert.ok(alone.model.message("t.B"));
  });

  it("the error for an import that starts further up names the folder to include", async t => {
    const outer = folderOf(t, {
      "etcd/api/rpc.proto": `${HEAD} import "etcd/api/kv.proto";`,
      "etcd/api/kv.proto": HEAD,
    });
    const folder = join(outer, "etcd/api");
    const found = await problems(outer, () => loadModel([{ kind: "protos", folder, include: [] }]));
    assert.deepEqual(found, [
      'etcd/api/rpc.proto:1:38: error: imports "etcd/api/kv.proto", which was not found in etcd/api, <bundle>; it is below <folder>: use that folder as "protos", or add it to "include"',
    ]);
  });

  it("imports cannot lead out of the folder", async t => {
    const outer = folderOf(t, { "secret.proto": HEAD, "in/a.proto": `${HEAD} import "../secret.proto";` });
    const folder = join(outer, "in");
    const found = await problems(folder, () => loadModel([{ kind: "protos", folder, include: [folder] }]));
    assert.match(found[0] ?? "", /imports "\.\.\/secret\.proto", which was not found/);
  });
});

describe("type names", () => {
  it("type names are looked up from the inside out, and the first part decides", async t => {
    const { model } = await loadProtos(t, {
      "a.proto": `syntax = "proto3"; package foo.bar;
        message M { message M {} M inner = 1; foo.bar.M outer = 2; .foo.bar.M.M full = 3; bar.M half = 4; N n = 5; }
        message N { enum E { ZERO = 0; } M.M m = 1; E e = 2; N.E ne = 3; }`,
    });
    const types = (name: string) =>
      model.message(name)!.fields.map(field => (field.message ?? field.enum)?.fullName);
    assert.deepEqual(types("foo.bar.M"), [
      "foo.bar.M.M",
      "foo.bar.M",
      "foo.bar.M.M",
      "foo.bar.M",
      "foo.bar.N",
    ]);
    assert.deepEqual(types("foo.bar.N"), ["foo.bar.M.M", "foo.bar.N.E", "foo.bar.N.E"]);
  });

  it("type names that are unknown are errors with the nearest name", async t => {
    const source = `${HEAD}
      message Message { Mesage m = 1; t.Mesage n = 2; }
      enum E { ZERO = 0; }
      service S { rpc Get(E) returns (Nothing); }`;
    assert.deepEqual(await problemsOf(t, { "a.proto": source }), [
      'a.proto:2:25: error: unknown type "Mesage", expected a message or an enum (at t.Message.m); did you mean "Message"?',
      'a.proto:2:39: error: unknown type "t.Mesage", expected a message or an enum (at t.Message.n); did you mean "t.Message"?',
      'a.proto:4:19: error: "E" is an enum, expected a message (at t.S.Get)',
      'a.proto:4:19: error: unknown type "Nothing", expected a message (at t.S.Get)',
    ]);
  });
});

describe("folders", () => {
  it("folders with symbolic links in circles are read once", async t => {
    const folder = folderOf(t, {
      "a/x.proto": `${HEAD} message X {}`,
      "node_modules/y.proto": "ignored",
      ".git/z.proto": "ignored",
    });
    mkdirSync(join(folder, "b"));
    symlinkSync(join(folder, "a"), join(folder, "b/again"));
    symlinkSync(folder, join(folder, "a/up"));
    symlinkSync(join(folder, "nowhere"), join(folder, "a/dangling.proto"));
    symlinkSync(join(folder, "loop.proto"), join(folder, "loop.proto"));
    const { model } = await loadModel([{ kind: "protos", folder, include: [] }]);
    assert.ok(model.files.has("a/x.proto"));
    assert.equal(model.files.has("b/again/x.proto"), false);
  });

  it("folders that do not exist are an error, and empty ones a warning", async t => {
    const folder = folderOf(t, {});
    const missing = join(folder, "missing");
    const load = (path: string) =>
      problems(folder, () => loadModel([{ kind: "protos", folder: path, include: [] }]));
    assert.deepEqual(await load(missing), ["missing: error: cannot read the folder: it does not exist"]);
    assert.deepEqual(await load(folder), ["<folder>: warning: the folder has no .proto files"]);
  });

  it("folders with files that are too large or not UTF-8 are errors", async t => {
    const files = {
      "big.proto": Buffer.alloc(16 * 1024 * 1024 + 1, " "),
      "latin.proto": Buffer.from("// caf\xe9\n", "latin1"),
    };
    assert.deepEqual(await problemsOf(t, files), [
      "big.proto: error: the file has 16777217 bytes, more than 16777216",
      "latin.proto: error: the file is not valid UTF-8",
    ]);
  });
});

describe("exclude", () => {
  const files = {
    "api/v1/a.proto": `${HEAD} import "preview/shared.proto"; message A { preview.Shared shared = 1; }`,
    "api/v1/a_test.proto": "is not read",
    "preview/shared.proto": 'syntax = "proto3"; package preview; message Shared {}',
    "preview/x/y/broken.proto": "is not read",
    "preview.proto": `${HEAD} message P {}`,
  };

  it("exclude leaves out files of the folder by globs, unless others import them", async t => {
    const folder = folderOf(t, files);
    const exclude = ["preview/**", "**/*_test.proto"];
    const { model, diagnostics } = await loadModel([{ kind: "protos", folder, include: [], exclude }]);
    assert.deepEqual(diagnostics, []);
    for (const name of ["api/v1/a.proto", "preview/shared.proto", "preview.proto"])
      assert.ok(model.files.has(name), name);
    for (const name of ["api/v1/a_test.proto", "preview/x/y/broken.proto"])
      assert.ok(!model.files.has(name), name);
  });

  for (const [glob, left] of [
    ["*.proto", ["api/v1/b.proto", "x/c.proto"]],
    ["x/?.proto", ["a.proto", "api/v1/b.proto"]],
    ["**/b.proto", ["a.proto", "x/c.proto"]],
    ["**", []],
    ["api/**/b.proto", ["a.proto", "x/c.proto"]],
    ["a(.proto", ["a.proto", "api/v1/b.proto", "x/c.proto"]],
  ] as const) {
    it(`exclude ${glob} leaves ${left.join(", ") || "nothing"}`, async t => {
      const folder = folderOf(t, { "a.proto": HEAD, "api/v1/b.proto": HEAD, "x/c.proto": HEAD });
      const { model, diagnostics } = await loadModel([
        { kind: "protos", folder, include: [], exclude: [glob] },
      ]);
      assert.deepEqual(
        [...model.files.keys()].filter(name => /^(a|api\/v1\/b|x\/c)\.proto$/.test(name)).sort(),
        left,
      );
      const unused = `exclude: "${glob}" fits no .proto file; expected a path below the folder, such as preview/**`;
      assert.deepEqual(
        diagnostics.map(({ message }) => message),
        left.length === 3 ? [unused] : [],
      );
    });
  }
});
