import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { SocketEngine } from "../src/gateway/realtime-listener.js";
import { AddonError, loadUws } from "../src/net/uws-addon.js";

export type EngineName = "fastify" | "uws";

let chosen: EngineName = process.env.TEST_ENGINE === "uws" ? "uws" : "fastify";

/** The engine that gateways of this test process listen with. */
export function engineUnderTest(): EngineName {
  return chosen;
}

let version: 1 | 2 = 1;

/** The version of HTTP in which the common clients of tests speak to gateways. */
export function versionUnderTest(): 1 | 2 {
  return version;
}

/** The engine of sockets that goes with it. */
export function socketEngineUnderTest(): SocketEngine {
  return chosen === "uws" ? "uws" : "portable";
}

/** Why the uws engine cannot be tested here; false: it can. */
export async function uwsSkipped(): Promise<string | false> {
  try {
    await loadUws(24_576);
    return false;
  } catch (error) {
    if (error instanceof AddonError) return error.message;
    throw error;
  }
}

/**
 * Runs every other test file of the folder of `url` in this process, with gateways and sockets on the uws engine.
 * @param except files for which the engine makes no difference
 */
export async function repeatOnUws(url: string, except: readonly string[] = []): Promise<void> {
  const own = fileURLToPath(url);
  const skip = await uwsSkipped();
  if (skip !== false) {
    test("the tests of this folder on the uws engine", { skip });
    return;
  }
  chosen = "uws";
  await repeat(own, except);
}

/** Runs test files of the folder of `url` in this process, with requests over HTTP/2. */
export async function repeatOnHttp2(url: string, files: readonly string[]): Promise<void> {
  version = 2;
  for (const file of files) await import(new URL(`${file}.test.js`, url).href);
}

async function repeat(own: string, except: readonly string[]): Promise<void> {
  for (const file of readdirSync(dirname(own)).sort()) {
    // Those named "on-…" repeat the folder in another way.
    const repeats =
      file === basename(own).replace(/js$/, "ts") ||
      file.startsWith("on-") ||
      file === "http2.test.ts" ||
      except.includes(file);
    if (file.endsWith(".test.ts") && !repeats)
      await import(pathToFileURL(join(dirname(own), file.replace(/ts$/, "js"))).href);
  }
}
