import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { getHeapSpaceStatistics } from "node:v8";
import { holdYoungGeneration, sizeYoungGeneration } from "../../src/net/young-generation.js";
import { scriptFile, scriptOptions } from "../node-script.js";

holdYoungGeneration();

function capacityMiB(): number {
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
  assert.ok(space);
  return (space.space_used_size + space.space_available_size) / 2 ** 20;
}

/** The oldest 1.5 MiB of these survive a few collections. */
let surviving: object[] = [];

/** Makes about 1 MiB of objects, all of which survive for a while. */
function work(): void {
  for (let made = 0; made < 10_000; made++) surviving.push({ made, pair: [made, made] });
  if (surviving.length > 30_000) surviving = surviving.slice(-20_000);
}

describe("the young generation of the heap", () => {
  it("the young generation stays at 1 MiB while it is held, whatever survives", async () => {
    const before = capacityMiB();
    for (let turn = 0; turn < 100; turn++) {
      work();
      await setImmediate();
    }
    assert.equal(capacityMiB(), before);
    assert.ok(before < 2, `${before} MiB`);
  });

  it("the young generation has 2 MiB once it is sized, and 16 while the process is busy", async () => {
    sizeYoungGeneration();
    assert.equal(Math.round(capacityMiB()), 2);
    while (capacityMiB() < 15) {
      work();
      await setImmediate();
    }
    assert.equal(Math.round(capacityMiB()), 16);
  });

  it("a size that Node.js was started with is taken, and changes as V8 has it", () => {
    const url = JSON.stringify(pathToFileURL(scriptFile("src/net/young-generation.ts")).href);
    const script = `
      import { getHeapSpaceStatistics } from "node:v8";
      import { holdYoungGeneration, sizeYoungGeneration } from ${url};
      holdYoungGeneration();
      sizeYoungGeneration();
      console.log(getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space").space_available_size);`;
    const args = [...scriptOptions, "--min-semi-space-size=8", "--input-type=module", "-e", script];
    const available = Number(execFileSync(process.execPath, args, { encoding: "utf8" }));
    assert.ok(available > 4 * 2 ** 20, `${available} bytes`);
  });
});
