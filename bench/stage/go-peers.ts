import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { root } from "../repository.js";

const run = promisify(execFile);

/** The programs under bench/peers, compiled; or why they are not. */
export type GoPeers =
  | { readonly kind: "built"; readonly folder: string }
  | { readonly kind: "absent"; readonly reason: string };

/** Compiles the peers. The first time takes as long as Go needs for grpc-go and its rivals, later ones a second. */
export async function buildGoPeers(): Promise<GoPeers> {
  const cwd = join(root, "bench/peers");
  const folder = join(root, "node_modules/.cache/protogate-bench/peers");
  try {
    await run("go", ["version"], { cwd });
  } catch {
    return { kind: "absent", reason: "Go is not installed" };
  }
  try {
    await run("go", ["mod", "download"], { cwd, timeout: 120_000 });
  } catch {
    return { kind: "absent", reason: "the Go modules of bench/peers can neither be found nor downloaded" };
  }
  await run("go", ["build", "-o", `${folder}/`, "./upstream", "./grpcgateway", "./vanguard"], {
    cwd,
    timeout: 300_000,
  });
  return { kind: "built", folder };
}
