import assert from "node:assert/strict";
import { test } from "node:test";
import { obtainRunner, presentRunner, type Runner, runSuite } from "./runner.js";

/** CI may download what the runner needs; elsewhere the test makes do with what is there. */
function runner(): Runner | string {
  if (process.env.CI !== "true") return presentRunner();
  try {
    return obtainRunner();
  } catch (error) {
    return (error as Error).message;
  }
}

const found = runner();
const skip = typeof found === "string" ? `${found}; npm run conformance fetches what is missing` : false;

test("every required and recommended conformance test between protobuf and JSON passes", { skip }, () => {
  const { passed, output } = runSuite(found as Runner);
  assert.ok(passed, output);
  assert.match(output, /CONFORMANCE SUITE PASSED: [1-9]\d* successes, \d+ skipped, 0 expected failures/);
  assert.match(output, /protobuf to JSON, answered: [1-9]/);
  assert.match(output, /JSON to PROTOBUF, answered: [1-9]/);
});
