import assert from "node:assert/strict";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { loadModel } from "../../src/descriptors/load/load.js";
import type { MessageType, Model } from "../../src/descriptors/model.js";
import { dumpField, dumpMessage, dumpService } from "./dump.js";
import { folderOf, problems } from "./workspace.js";

const PACKAGE = fileURLToPath(new URL("../../node_modules/google-proto-files", import.meta.url));

/** These import files that the npm package leaves out. */
const INCOMPLETE = ["google/protobuf/compiler", "google/protobuf/util"];

/** All of google-proto-files that is complete, through symbolic links. */
function googleapis(t: TestContext): string {
  const folder = folderOf(t, {});
  const link = (name: string) => symlinkSync(join(PACKAGE, name), join(folder, name));
  mkdirSync(join(folder, "google/protobuf"), { recursive: true });
  for (const name of ["gapic", "grafeas"]) link(name);
  for (const name of readdirSync(join(PACKAGE, "google"))) if (name !== "protobuf") link(`google/${name}`);
  for (const name of readdirSync(join(PACKAGE, "google/protobuf"))) {
    const path = `google/protobuf/${name}`;
    if (!INCOMPLETE.includes(path)) link(path);
  }
  return folder;
}

/** Every message that a method reaches, with everything that is said of it. */
function reach(model: Model): { messages: Set<MessageType>; fields: number } {
  const messages = new Set<MessageType>();
  let fields = 0;
  for (const service of model.services.values()) {
    for (const { input, output } of service.methods) messages.add(input).add(output);
  }
  for (const message of messages) {
    for (const field of message.fields) {
      fields++;
      assert.equal(field.message !== undefined, field.kind === "message", field.fullName);
      assert.equal(field.enum !== undefined, field.kind === "enum", field.fullName);
      if (field.message !== undefined) messages.add(field.message);
    }
  }
  return { messages, fields };
}

describe("googleapis", () => {
  it("googleapis loads as a folder and as a set, with every annotated method, and both are equal", async t => {
    const folder = googleapis(t);
    const fromText = await loadModel([{ kind: "protos", folder, include: [] }]);
    assert.deepEqual(fromText.diagnostics, []);
    const file = join(folder, "set.binpb");
    writeFileSync(file, fromText.model.descriptorSet());
    const fromSet = await loadModel([{ kind: "set", file }]);
    assert.deepEqual(fromSet.diagnostics, []);

    let reached = new Set<MessageType>();
    for (const { model } of [fromSet, fromText]) {
      const methods = [...model.services.values()].flatMap(service => service.methods);
      const rules = methods.flatMap(method => method.options.get("google.api.http") ?? []);
      const more = rules.flatMap(
        rule => (rule as { additional_bindings?: object[] }).additional_bindings ?? [],
      );
      const { messages, fields } = reach(model);
      reached = messages;
      assert.deepEqual([model.files.size, model.services.size, methods.length], [8042, 1966, 13458]);
      assert.deepEqual([rules.length, more.length], [13307, 2074]);
      assert.deepEqual(
        [messages.size > 40_000, fields > 150_000],
        [true, true],
        `${messages.size} ${fields}`,
      );
    }

    let compared = 0;
    for (const message of reached) {
      if (compared++ % 200 !== 0) continue;
      const other = fromSet.model.message(message.fullName)!;
      assert.deepEqual(dumpMessage(other, fromSet.model), dumpMessage(message, fromText.model));
    }
    for (const [name, service] of fromText.model.services) {
      if (compared++ % 50 !== 0) continue;
      const other = fromSet.model.services.get(name)!;
      assert.deepEqual(dumpService(other, fromSet.model), dumpService(service, fromText.model));
    }
    const http = fromText.model.extensionByName("google.api.http")!;
    assert.deepEqual(
      dumpField(fromSet.model.extensionByName("google.api.http")!, fromSet.model),
      dumpField(http, fromText.model),
    );
  });

  it("googleapis complains of nothing but the imports that the package leaves out", async t => {
    const folder = folderOf(t, {});
    mkdirSync(join(folder, "google"));
    symlinkSync(join(PACKAGE, "google/protobuf"), join(folder, "google/protobuf"));
    const found = await problems(folder, () => loadModel([{ kind: "protos", folder, include: [] }]));
    const places = found.map(line => line.replace(/, which was not found.*/, ""));
    assert.deepEqual(
      places,
      [
        'google/protobuf/compiler/ruby/ruby_generated_code_proto2.proto:12:8: error: imports "ruby_generated_code_proto2_import.proto"',
        'google/protobuf/compiler/ruby/ruby_generated_code.proto:12:8: error: imports "ruby_generated_code_proto2_import.proto"',
        'google/protobuf/util/json_format_proto3.proto:20:8: error: imports "google/protobuf/unittest.proto"',
      ].sort((a, b) => (a < b ? -1 : 1)),
    );
  });
});
