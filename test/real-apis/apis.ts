import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);
const source = join(import.meta.dirname, "go");

/** A public API whose descriptors a Go package carries. */
export interface RealApi {
  readonly name: string;
  /** What `services` of a gateway in front of it names. */
  readonly services: string;
  /** Module that carries the `.proto` files, and where they expect to lie below the import root; else they are printed. */
  readonly module?: { readonly path: string; readonly importedAs: string };
  /** What `protos` names, relative to the import root: the API itself. */
  readonly roots: readonly string[];
  /** What its reflection cannot tell: imports (warnings), and options that are defined in files it does not find. */
  readonly reflectionLacks?: { readonly imports: RegExp; readonly options: RegExp };
}

/** Versions stand in `go/go.mod`. */
export const realApis: readonly RealApi[] = [
  {
    name: "etcd",
    services: "etcdserverpb.**",
    module: { path: "go.etcd.io/etcd/api/v3", importedAs: "etcd/api" },
    // raft_internal.proto of the same folder imports "rpc.proto", which no root resolves together with the others.
    roots: ["etcd/api/etcdserverpb/rpc.proto"],
    // Its Go packages register their files by names that do not fit the imports; the types are found by symbol.
    reflectionLacks: {
      imports: /^etcd: warning: "rpc\.proto" (imports|does not import)/,
      options: /^\[versionpb\./,
    },
  },
  {
    name: "containerd",
    services: "containerd.services.**",
    module: {
      path: "github.com/containerd/containerd/api",
      importedAs: "",
    },
    roots: ["services", "types"],
  },
  { name: "openfga", services: "openfga.v1.**", roots: ["openfga"] },
  { name: "spicedb", services: "authzed.api.v1.**", roots: ["authzed"] },
  { name: "temporal", services: "temporal.api.**", roots: ["temporal", "nexusannotations"] },
];

/** Why the APIs cannot be had on this machine; undefined where they can. */
export async function whyNoApis(): Promise<string | undefined> {
  try {
    await run("go", ["version"], { cwd: source });
  } catch {
    return "go is not installed";
  }
  try {
    await run("protoc", ["--version"]);
  } catch {
    return "protoc is not installed";
  }
  try {
    await run("go", ["mod", "download"], { cwd: source, timeout: 300_000 });
  } catch {
    return "the Go modules of test/real-apis/go can neither be found nor downloaded";
  }
  return undefined;
}

/** Every API as a folder of `.proto` files below `folder`, named as the API, and as a set beside it. */
export async function writeApis(folder: string): Promise<void> {
  const program = join(folder, "real-apis");
  await run("go", ["build", "-o", program, "."], { cwd: source });
  await run(program, ["-out", folder]);
  for (const { name, module } of realApis) {
    if (module === undefined) continue;
    const link = join(folder, name, module.importedAs);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(moduleFolder(module.path), link);
  }
}

/** Where the files of a Go module lie, once `whyNoApis` has been asked. */
export function moduleFolder(path: string): string {
  return execFileSync("go", ["list", "-m", "-f", "{{.Dir}}", path], { cwd: source, encoding: "utf8" }).trim();
}

/** The `.proto` files of the API, relative to its import root, which is `folder/<name>`. */
export function protosOf(api: RealApi, folder: string): string[] {
  const all = api.roots.map(name =>
    name.endsWith(".proto") ? [name] : protosBelow(join(folder, api.name), name),
  );
  return all.flat().sort();
}

/** Follows links, which `readdirSync` with `recursive` does not. */
function protosBelow(root: string, name: string): string[] {
  return readdirSync(join(root, name), { withFileTypes: true }).flatMap(entry => {
    const path = `${name}/${entry.name}`;
    if (entry.isDirectory() || entry.isSymbolicLink()) return protosBelow(root, path);
    return entry.name.endsWith(".proto") ? [path] : [];
  });
}

/** Serves the reflection of every API, each on a port of its own. */
export async function serveReflection(
  folder: string,
): Promise<{ readonly ports: ReadonlyMap<string, number>; close(): Promise<void> }> {
  const child = spawn(join(folder, "real-apis"), ["-serve"], { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const ports = new Map<string, number>();
  for await (const line of createInterface(child.stdout)) {
    if (line === "ready") break;
    const [name = "", port = ""] = line.split(" ");
    ports.set(name, Number(port));
  }
  return {
    ports,
    close: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
