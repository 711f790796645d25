import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after, type TestContext, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { decodeFile, decodeSet, encodeFile } from "../src/descriptors/descriptor-codec.js";
import { bundleFolder } from "../src/descriptors/load/files.js";
import { type DescriptorInput, loadModel } from "../src/descriptors/load/load.js";
import { createChannel } from "../src/upstream/create-channel.js";
import { fetchDescriptors } from "../src/upstream/reflection/reflection.js";
import { type ReflectionServer, startReflectionServer } from "./reflection-server.js";

/** `set` is what our own linker exports, `protoc` what protoc writes; `reflection` is served by a real gRPC server. */
export type DescriptorSource = "protos" | "set" | "protoc" | "reflection";

let chosen: DescriptorSource = "protos";

/** Where tests of this process take the descriptors of their `.proto` files from. */
export function sourceUnderTest(): DescriptorSource {
  return chosen;
}

const protoc = spawnSync("protoc", ["--version"], { encoding: "utf8" });
const protocMajor = Number(/libprotoc (\d+)/.exec(protoc.stdout ?? "")?.[1] ?? 0);

/** Why protoc cannot be run here; false: it can. */
export const protocSkipped: string | false = protocMajor === 0 ? "protoc is not installed" : false;

/**
 * Runs test files of the folder of `url` in this process, with descriptors from another source.
 * @param only names of the files, without `.test.ts`; every other one of the folder where left out
 */
export async function repeatOnSource(
  url: string,
  source: DescriptorSource,
  only?: readonly string[],
): Promise<void> {
  const own = fileURLToPath(url);
  if (source === "protoc" && protocSkipped !== false) {
    test("the tests of this folder on sets of protoc", { skip: protocSkipped });
    return;
  }
  chosen = source;
  // Not at the top of this module: it makes a script that is no test print the report of tests.
  after(cleanUp);
  const names =
    only?.map(name => `${name}.test.ts`) ??
    readdirSync(dirname(own)).filter(name => name.endsWith(".test.ts") && !name.startsWith("on-"));
  const load = async () => {
    for (const name of names.sort())
      await import(pathToFileURL(join(dirname(own), name.replace(/ts$/, "js"))).href);
  };
  // Runs until all are declared: hooks that clean up would otherwise run as soon as no declared test is left.
  const loaded = load();
  test(`descriptors come from ${source}`, () => loaded);
  await loaded;
}

/** The `.proto` files of a folder, as the source under test gives them. */
export async function inputUnderTest(
  folder: string,
  include: readonly string[] = [],
): Promise<DescriptorInput> {
  switch (chosen) {
    case "protos":
      return { kind: "protos", folder, include };
    case "set":
    case "protoc":
      return { kind: "set", file: await setFileOf(folder, include) };
    case "reflection": {
      const { port } = await serverOf(folder, include);
      const channel = createChannel({
        name: "reflecting",
        targets: [`127.0.0.1:${port}`],
        balancing: "round_robin",
        transport: "lean",
        maxMessageSize: 4 * 1024 * 1024,
      });
      try {
        const { files } = await fetchDescriptors(channel, { timeout: 30_000 });
        return { kind: "files", origin: "reflection", files };
      } finally {
        await channel.close();
      }
    }
  }
}

/** Loads the `.proto` files of a folder from the source under test. */
export async function loadUnderTest(folder: string, include: readonly string[] = []) {
  return loadModel([await inputUnderTest(folder, include)]);
}

/**
 * A configuration whose `protos` entries are replaced by the source under test, line for line.
 * @param folder what its relative paths start from
 */
export async function yamlUnderTest(yaml: string, folder: string): Promise<string> {
  if (chosen === "protos") return yaml;
  const upstreams: string[] = [];
  let changed = yaml;
  for (const [entry, path = ""] of yaml.matchAll(/protos: ([^\s,}]+)/g)) {
    const protos = resolve(folder, path);
    if (chosen === "reflection") {
      const { port } = await serverOf(protos, []);
      const name = `reflecting_${upstreams.length}`;
      upstreams.push(`${name}: { targets: ["127.0.0.1:${port}"] }`);
      changed = changed.replace(entry, `reflection: ${name}`);
    } else {
      changed = changed.replace(entry, `set: ${await setFileOf(protos, [])}`);
    }
  }
  for (const upstream of upstreams) {
    changed = changed.replace(/^upstreams: *\{/m, `upstreams: { ${upstream},`);
    changed = changed.replace(/^upstreams:\n( +)/m, `upstreams:\n$1${upstream}\n$1`);
  }
  return changed;
}

let scratch: string | undefined;
const setFiles = new Map<string, string>();
const servers = new Map<string, Promise<ReflectionServer>>();

async function cleanUp(): Promise<void> {
  for (const server of servers.values()) (await server).close();
  if (scratch !== undefined) rmSync(scratch, { recursive: true });
}

/** A file with the set of a folder as it is now, made once for the same content. */
async function setFileOf(folder: string, include: readonly string[]): Promise<string> {
  const names = protosIn(folder);
  const hash = createHash("sha256").update(chosen);
  for (const name of names) hash.update(`${name}\0`).update(readFileSync(join(folder, name)));
  const key = hash.digest("hex");
  const known = setFiles.get(key);
  if (known !== undefined) return known;
  scratch ??= mkdtempSync(join(tmpdir(), "protogate-source-"));
  const file = join(scratch, `${key.slice(0, 16)}.binpb`);
  if (chosen !== "set" && protocReads(folder, names)) {
    const paths = [folder, ...include, bundleFolder].map(path => `-I${path}`);
    execFileSync("protoc", [...paths, `-o${file}`, "--include_imports", "--include_source_info", ...names]);
  } else {
    const { model } = await loadModel([{ kind: "protos", folder, include }]);
    writeFileSync(file, model.descriptorSet());
  }
  setFiles.set(key, file);
  return file;
}

/** Releases of protoc before 27 read no editions. */
function protocReads(folder: string, names: readonly string[]): boolean {
  if (protocMajor === 0 || protocMajor >= 27) return protocMajor !== 0;
  return !names.some(name => /^\s*edition\s*=/m.test(readFileSync(join(folder, name), "utf8")));
}

function protosIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter(name => name.endsWith(".proto"))
    .sort();
}

/** A set that the installed protoc makes of one file, without its imports; gone after the test. */
export function setOf(t: TestContext, folder: string, name: string): string {
  const out = mkdtempSync(join(tmpdir(), "protogate-protoc-"));
  t.after(() => rmSync(out, { recursive: true }));
  const file = join(out, "set.binpb");
  execFileSync("protoc", [`-I${folder}`, `-I${bundleFolder}`, `-o${file}`, name]);
  return file;
}

/** A server that reflects what is in a folder now, until the tests end. */
async function serverOf(folder: string, include: readonly string[]): Promise<ReflectionServer> {
  const file = await setFileOf(folder, include);
  const known = servers.get(file);
  if (known !== undefined) return known;
  const files = decodeSet(readFileSync(file));
  const server = startReflectionServer([...files, rootOf(files)]);
  servers.set(file, server);
  return server;
}

/** A service in a file that imports all others: reflection tells nothing but what services lead to. */
function rootOf(files: readonly Uint8Array[]): Uint8Array {
  return encodeFile({
    name: "reflection-root.proto",
    package: "reflectionroot",
    dependency: files.map(file => decodeFile(file).name),
    publicDependency: [],
    weakDependency: [],
    optionDependency: [],
    messageType: [],
    enumType: [],
    service: [{ name: "Root", method: [] }],
    extension: [],
    syntax: "proto3",
  });
}
