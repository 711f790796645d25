import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { promises, verdictOf } from "./fault.js";
import { faults } from "./faults.js";

it("docs/guides/faults.md promises something of each fault that is made, and of no other", () => {
  assert.deepEqual(
    faults.map(({ name }) => name),
    [...promises().keys()],
  );
});

describe("the promises of docs/guides/faults.md that need no other server", () => {
  for (const fault of faults) {
    if (fault.inSuite !== true) continue;
    it(`the documented behaviour holds when ${fault.name}`, async () => {
      const { result, seen } = await verdictOf(fault);
      assert.equal(result, "kept", seen);
    });
  }
});
