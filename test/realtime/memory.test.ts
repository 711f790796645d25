import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { before, describe, test } from "node:test";
import { promisify } from "node:util";
import { uwsSkipped } from "../engine.js";
import { scriptArguments } from "../node-script.js";

interface Used {
  readonly name: string;
  /** Bytes after each repetition; the first were not looked at. */
  readonly heap: readonly number[];
  readonly outside: readonly number[];
}

/** Bytes that a repetition may leave behind: little for each of its sockets or messages. */
const bound = 48 * 1024;

/**
 * Bytes that each repetition leaves behind: what is lost each time shows in nearly all of the differences, while what
 * the engine compiles and throws away shows in some.
 */
function lostEachTime(used: readonly number[]): number {
  const differences = used.slice(1).map((bytes, i) => bytes - (used[i] as number));
  return differences.sort((a, b) => a - b)[Math.floor(differences.length / 4)] as number;
}

/** Does all faults to a server with that engine, in a process of its own. */
async function measure(engine: string): Promise<readonly Used[]> {
  const env = { ...process.env, TEST_ENGINE: engine };
  const { stdout } = await promisify(execFile)(process.execPath, scriptArguments("test/realtime/memory.ts"), {
    env,
  });
  return stdout
    .trim()
    .split("\n")
    .map(line => JSON.parse(line) as Used);
}

const uwsAbsent = await uwsSkipped();
// Both at the same time: they wait for timers more than they work.
const measured = {
  fastify: measure("fastify"),
  uws: uwsAbsent === false ? measure("uws") : Promise.resolve([]),
};
// Awaited below; until then a failure is nobody's.
for (const each of Object.values(measured)) each.catch(() => undefined);

for (const engine of ["fastify", "uws"] as const) {
  const skip = engine === "uws" && uwsAbsent;
  describe(`memory with the engine ${engine}`, { skip }, () => {
    let found: readonly Used[];
    before(async () => {
      found = await measured[engine];
    });

    test("a leak would be found", () => {
      const [leak] = found;
      assert.equal(leak?.name, "a handle of each socket is kept");
      assert.ok(lostEachTime(leak.heap) > bound, `${leak.heap}`);
    });

    test("no fault leaves anything in memory", async t => {
      assert.equal(found.length, 15);
      for (const { name, heap, outside } of found.slice(1)) {
        await t.test(name, t => {
          t.diagnostic(`each time ${lostEachTime(heap)} bytes of heap, ${lostEachTime(outside)} outside`);
          assert.ok(lostEachTime(heap) < bound, `heap: ${heap}`);
          assert.ok(lostEachTime(outside) < bound, `outside: ${outside}`);
        });
      }
    });
  });
}
