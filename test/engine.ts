import { readdirSync } from "node:fs";
import { basename, dirname } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { AddonError, loadUws } from "../src/net/uws-addon.js";

export type EngineName = "fastify" | "uws";

let chosen: EngineName = "fastify";

/** The engine that gateways of this test process listen with. */
export function engineUnderTest(): EngineName {
  return chosen;
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

/** Runs every other test file of the folder of `url` in this process, with gateways on the uws engine. */
export async function repeatOnUws(url: string): Promise<void> {
  const own = fileURLToPath(url);
  const skip = await uwsSkipped();
  if (skip !== false) {
    test("the tests of this folder on the uws engine", { skip });
    return;
  }
  chosen = "uws";
  for (const file of readdirSync(dirname(own)).sort()) {
    if (file.endsWith(".test.ts") && file !== basename(own))
      await import(pathToFileURL(`${dirname(own)}/${file}`).href);
  }
}
