import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

test("what comes and goes leaves nothing in tables that are old", async t => {
  const script = fileURLToPath(new URL("churn.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", script]);
  const grown = JSON.parse(stdout) as Record<string, number>;
  assert.deepEqual(Object.keys(grown), ["line", "events", "calls"]);
  for (const [what, bytes] of Object.entries(grown)) {
    t.diagnostic(`${what}: ${bytes} bytes`);
    assert.ok(bytes < 1024 ** 2, `${what}: ${bytes} bytes are over and still there`);
  }
});
