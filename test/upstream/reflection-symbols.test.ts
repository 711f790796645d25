import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { decodeFile, decodeSet, encodeFile } from "../../src/descriptors/descriptor-codec.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import { fetchDescriptors } from "../../src/upstream/reflection/reflection.js";
import { startReflectionServer } from "../reflection-server.js";
import { openChannel } from "./backend.js";

test("a file that the server knows by another name than its importers is found by the types in it", async t => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-reflection-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  write("common.proto", 'syntax = "proto3"; package c; message Outer { message Id { string id = 1; } }');
  write("level.proto", 'syntax = "proto3"; package c; enum Level { LOW = 0; }');
  write(
    "svc.proto",
    `syntax = "proto3"; package s; import "common.proto"; import "level.proto";
     message Request { map<string, c.Outer.Id> ids = 1; c.Level level = 2; }
     service S { rpc Get(Request) returns (c.Outer.Id); }`,
  );
  const { model } = await loadModel([{ kind: "protos", folder, include: [] }]);
  const files = decodeSet(model.descriptorSet()).map(bytes => {
    const file = decodeFile(bytes);
    if (file.name !== "svc.proto") return bytes;
    return encodeFile({ ...file, dependency: ["proto/common.proto", "proto/level.proto"] });
  });
  const server = await startReflectionServer(files);
  t.after(() => server.close());
  const channel = openChannel([`127.0.0.1:${server.port}`]);
  t.after(() => channel.close());
  const reflected = await fetchDescriptors(channel, { timeout: 10_000 });
  const { model: found } = await loadModel([{ kind: "files", origin: "reflection", files: reflected.files }]);
  const method = found.services.get("s.S")?.methods[0];
  assert.equal(method?.output.fullName, "c.Outer.Id");
  assert.equal(method?.input.fieldsByName.get("ids")?.map?.value.message?.fullName, "c.Outer.Id");
  assert.equal(method?.input.fieldsByName.get("level")?.enum?.fullName, "c.Level");
});
