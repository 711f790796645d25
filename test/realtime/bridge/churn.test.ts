import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { scriptArguments } from "../../node-script.js";

test("entries that come and go leave nothing in tables that are old", async t => {
  const script = scriptArguments("test/realtime/bridge/churn.ts");
  const { stdout } = await promisify(execFile)(process.execPath, script);
  const grown = JSON.parse(stdout) as Record<string, number>;
  assert.deepEqual(Object.keys(grown), ["line", "events", "calls"]);
  for (const [what, bytes] of Object.entries(grown)) {
    t.diagnostic(`${what}: ${bytes} bytes`);
    assert.ok(bytes < 1024 ** 2, `${what}: ${bytes} bytes are over and still there`);
  }
});
