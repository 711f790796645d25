import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { formatDiagnostic } from "../../src/config/diagnostic.js";
import { decodeSet } from "../../src/descriptors/descriptor-codec.js";
import { type DescriptorInput, loadModel } from "../../src/descriptors/load/load.js";
import type { Model } from "../../src/descriptors/model.js";
import { fetchDescriptors } from "../../src/upstream/reflection/reflection.js";
import { dumpEnum, dumpMessage, dumpService } from "../descriptors/dump.js";
import { startReflectionServer } from "../reflection-server.js";
import { openChannel } from "../upstream/backend.js";
import { protosOf, type RealApi, realApis, serveReflection, whyNoApis, writeApis } from "./apis.js";

const root = resolve(import.meta.dirname, "../..");

describe("descriptors of real APIs", { skip: await whyNoApis() }, () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-real-apis-"));
  let reflection: Awaited<ReturnType<typeof serveReflection>>;
  before(async () => {
    await writeApis(folder);
    reflection = await serveReflection(folder);
  });
  after(async () => {
    await reflection.close();
    rmSync(folder, { recursive: true });
  });

  for (const api of realApis) {
    it(`${api.name}: files, a set of protoc and reflection give the same services and types without a warning`, async () => {
      const models = [await fromFiles(api), await fromSet(api), await fromReflection(api)];
      const [files, set, reflected] = models.map(model => described(model, api));
      assert.ok(files !== undefined && files.size > 10, `${files?.size} services and types`);
      assert.deepEqual(set, files);
      assert.deepEqual(reflected, withoutKeys(files, api.reflectionLacks?.options));
    });
  }

  async function load(input: DescriptorInput, expected: RegExp = /^$/): Promise<Model> {
    const { model, diagnostics } = await loadModel([input]);
    assert.deepEqual(
      diagnostics.map(formatDiagnostic).filter(text => !expected.test(text)),
      [],
    );
    return model;
  }

  /** A file is named as such, with the import root beside it; folders are what the root holds. */
  function fromFiles({ name, roots }: RealApi): Promise<Model> {
    const root = join(folder, name);
    const [file] = roots.filter(each => each.endsWith(".proto"));
    return load(
      file === undefined
        ? { kind: "protos", folder: root, include: [] }
        : { kind: "protos", folder: join(root, file), include: [root] },
    );
  }

  function fromSet(api: RealApi): Promise<Model> {
    const file = join(folder, `${api.name}.binpb`);
    const imports = [join(folder, api.name), join(root, "protos")];
    execFileSync("protoc", [
      ...imports.map(path => `-I${path}`),
      "--include_imports",
      "-o",
      file,
      ...protosOf(api, folder),
    ]);
    return load({ kind: "set", file });
  }

  async function fromReflection({ name, reflectionLacks }: RealApi): Promise<Model> {
    const channel = openChannel([`127.0.0.1:${reflection.ports.get(name)}`]);
    try {
      const { files } = await fetchDescriptors(channel, { timeout: 10_000 });
      return await load({ kind: "files", origin: name, files }, reflectionLacks?.imports);
    } finally {
      await channel.close();
    }
  }
});

describe("descriptors of Google's APIs", { skip: await whyNoApis() }, () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-real-apis-"));
  after(() => rmSync(folder, { recursive: true }));
  const files = join(root, "node_modules/google-proto-files");

  for (const name of [
    "pubsub",
    "firestore",
    "spanner",
    "bigtable",
    "storage",
    "monitoring",
    "logging",
    "iam",
  ]) {
    it(`google/${name}: files, a set of protoc and reflection give the same services and types without a warning`, async () => {
      const api: RealApi = { name: "", services: "google.**", roots: [`google/${name}`] };
      const text = await loadModel([
        { kind: "protos", folder: join(files, `google/${name}`), include: [files] },
      ]);
      const file = join(folder, `${name}.binpb`);
      execFileSync("protoc", [
        `-I${files}`,
        `-I${join(root, "protos")}`,
        "--include_imports",
        "-o",
        file,
        ...protosOf(api, files),
      ]);
      const set = await loadModel([{ kind: "set", file }]);
      const server = await startReflectionServer(decodeSet(readFileSync(file)));
      const channel = openChannel([`127.0.0.1:${server.port}`]);
      const { files: received } = await fetchDescriptors(channel, { timeout: 30_000 });
      await channel.close();
      server.close();
      const reflected = await loadModel([{ kind: "files", origin: name, files: received }]);
      for (const { diagnostics } of [text, set, reflected])
        assert.deepEqual(diagnostics.map(formatDiagnostic), []);
      const wanted = described(text.model, api);
      assert.ok(wanted.size > 30, `${wanted.size} services and types`);
      assert.deepEqual(described(set.model, api), wanted);
      assert.deepEqual(described(reflected.model, api), wanted);
    });
  }
});

/** The services of the API and all types that they reach, by name, without what only source text has. */
function described(model: Model, api: RealApi): ReadonlyMap<string, unknown> {
  const all = new Map<string, unknown>();
  const scope = api.services.replace("**", "");
  for (const service of model.services.values()) {
    if (!service.fullName.startsWith(scope)) continue;
    all.set(service.fullName, withoutSource(dumpService(service, model)));
    for (const { input, output } of service.methods) for (const message of [input, output]) reach(message);
  }
  return all;

  function reach(message: NonNullable<ReturnType<Model["message"]>>): void {
    if (all.has(message.fullName)) return;
    all.set(message.fullName, withoutSource(dumpMessage(message, model)));
    for (const field of message.fields) {
      if (field.message !== undefined) reach(field.message);
      if (field.enum !== undefined) all.set(field.enum.fullName, withoutSource(dumpEnum(field.enum, model)));
    }
  }
}

/** A copy without the properties whose names fit. */
function withoutKeys(all: ReadonlyMap<string, unknown>, names: RegExp = /^$/): ReadonlyMap<string, unknown> {
  const dropped = (_key: string, value: unknown): unknown =>
    typeof value !== "object" || value === null || Array.isArray(value)
      ? value
      : Object.fromEntries(Object.entries(value).filter(([key]) => !names.test(key)));
  return new Map([...all].map(([name, value]) => [name, JSON.parse(JSON.stringify(value, dropped))]));
}

/** Positions and comments are in source text only, and a Go program names its files by other paths. */
function withoutSource(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, each: unknown) =>
      key === "comment" || key === "line" || key === "file"
        ? undefined
        : typeof each === "bigint"
          ? `${each}`
          : each,
    ),
  );
}
