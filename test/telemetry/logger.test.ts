import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { scriptFile, scriptOptions } from "../node-script.js";

function run(code: string): string[] {
  const logger = pathToFileURL(scriptFile("src/telemetry/logger.ts")).href;
  const source = `import { createLogger } from "${logger}";\n${code}`;
  const child = spawnSync(process.execPath, [...scriptOptions, "--input-type=module", "--eval", source], {
    encoding: "utf8",
  });
  assert.equal(child.status, 0, child.stderr);
  return child.stdout.split("\n").slice(0, -1);
}

test("every line is written to standard output before a process that ends at once is gone", () => {
  const lines = run(`
    const logger = createLogger("info");
    for (let i = 0; i < 2000; i++) logger.info({ i }, "line");
    process.exit(0);
  `);
  assert.deepEqual(
    lines.map(line => JSON.parse(line).i),
    Array.from({ length: 2000 }, (_, i) => i),
  );
});

test("an error is logged with its message and stack, without process id or host name", () => {
  const [line] = run(`createLogger("info").error({ err: new Error("broken") }, "failed");`);
  const { level, msg, err, pid, hostname } = JSON.parse(line!);
  assert.deepEqual(
    [level, msg, err.message, pid, hostname],
    ["error", "failed", "broken", undefined, undefined],
  );
  assert.match(err.stack, /^Error: broken\n/);
});
