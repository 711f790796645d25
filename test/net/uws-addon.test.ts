import assert from "node:assert/strict";
import { it } from "node:test";
import { AddonError, loadUws } from "../../src/net/uws-addon.js";

it("an addon that is not made for this machine is refused in one line that says why", async () => {
  Object.defineProperty(process, "arch", { value: "mips" });
  await assert.rejects(loadUws(16_384), error => {
    assert.ok(error instanceof AddonError);
    assert.doesNotMatch(error.message, /\n/);
    assert.match(error.message, /^the HTTP engine uws cannot be loaded on \w+ mips/);
    assert.match(
      error.message,
      new RegExp(`Node\\.js ${process.version} \\(ABI ${process.versions.modules}\\)`),
    );
    assert.match(error.message, /Cannot find module '\.\/bin\/uws_\w+_mips_\d+\.node'/);
    assert.match(error.message, /`listeners\.http\.engine: fastify`/);
    return true;
  });
});
