import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
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

/** Compiles the backend to a file. */
export async function buildPeer(file: string): Promise<void> {
  await run("go", ["build", "-o", file, "."], { cwd: source });
}

/** A Go backend that runs. */
export interface Peer {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts a compiled backend; it ends with this process at the latest. */
export async function startPeer(file: string, reflection: "v1" | "v1alpha" | "none"): Promise<Peer> {
  const imports = [peerProtos, join(root, "node_modules/google-proto-files")].join(",");
  const child = spawn(file, ["-imports", imports, "-reflection", reflection], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const lines = createInterface(child.stdout);
  const line = once(lines, "line").then(([text]) => String(text));
  const port = await Promise.race([line, exited.then(() => "")]);
  if (port === "") throw new Error("the Go backend ended before it listened");
  return {
    port: Number(port),
    close: async () => {
      child.stdin.end();
      await exited;
      lines.close();
    },
  };
}
