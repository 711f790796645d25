import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);
const source = join(import.meta.dirname, "go");
const root = resolve(import.meta.dirname, "../..");

/** Where peer/v1/peer_service.proto is. */
export const peerProtos = join(import.meta.dirname, "protos");

/** Why the Go backend cannot be had on this machine; undefined where it can. */
export async function whyNoGo(): Promise<string | undefined> {
  try {
    await run("go", ["version"], { cwd: source });
  } catch {
    return "go is not installed";
  }
  try {
    await run("go", ["mod", "download"], { cwd: source, timeout: 120_000 });
  } catch {
    return "the Go modules of test/peers/go can neither be found nor downloaded";
  }
  return undefined;
}

/** The compiled program, made once for the same source. */
export async function buildPeer(): Promise<string> {
  const hash = createHash("sha256");
  for (const name of readdirSync(source).sort()) hash.update(name).update(readFileSync(join(source, name)));
  const folder = join(root, "node_modules/.cache/go-peer");
  const file = join(folder, hash.digest("hex").slice(0, 16));
  if (existsSync(file)) return file;
  await mkdir(folder, { recursive: true });
  // Other processes see it whole.
  const unfinished = `${file}.${process.pid}`;
  await run("go", ["build", "-o", unfinished, "."], { cwd: source });
  await rename(unfinished, file);
  return file;
}

/** A Go backend that runs. */
export interface Peer {
  readonly port: number;
  /** Resolves with the ids that `RotationService` has processed, and how many of them more than once. */
  close(): Promise<Visits>;
}

export interface Visits {
  readonly processed: number;
  readonly repeated: number;
}

/** Starts a compiled backend; it ends with this process at the latest. */
export async function startPeer(
  file: string,
  reflection: "v1" | "v1alpha" | "none",
  maxConnectionAge = "0s",
): Promise<Peer> {
  const imports = [peerProtos, join(root, "node_modules/google-proto-files")].join(",");
  const options = ["-imports", imports, "-reflection", reflection, "-max-connection-age", maxConnectionAge];
  const child = spawn(file, options, { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const lines = createInterface(child.stdout);
  const line = once(lines, "line").then(([text]) => String(text));
  const port = await Promise.race([line, exited.then(() => "")]);
  if (port === "") throw new Error("the Go backend ended before it listened");
  return {
    port: Number(port),
    close: async () => {
      const last = once(lines, "line").then(([text]) => String(text).split(" ").map(Number));
      child.stdin.end();
      const [processed = 0, repeated = 0] = await last;
      await exited;
      lines.close();
      return { processed, repeated };
    },
  };
}
