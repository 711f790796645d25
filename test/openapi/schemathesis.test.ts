import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { type System, startSystem } from "../contracts/system.js";

const run = promisify(execFile);

/** What a run finds; that a backend refuses what only it knows to be wrong is none of that. */
const checks = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_schema_conformance",
  "negative_data_rejection",
];

/** A form has no types: one value of a list is a list of one, and a number is its digits. */
const hooks = `
import schemathesis

@schemathesis.hook
def filter_case(context, case):
    negative = case.meta is not None and case.meta.generation.mode.is_negative
    return not (negative and case.media_type == "application/x-www-form-urlencoded")
`;

describe("schemathesis against the demo", { skip: await whyNot() }, () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-schemathesis-"));
  let system: System;
  before(async () => {
    writeFileSync(join(folder, "hooks.py"), hooks);
    system = await startSystem(resolve(import.meta.dirname, "../../config/gateway.yaml"), {
      change: yaml => yaml.replace("requests: 30", "requests: 1000000").replaceAll("0.0.0.0", "127.0.0.1"),
    });
  });
  after(async () => {
    await system.close();
    rmSync(folder, { recursive: true });
  });

  it("schemathesis against the demo finds that responses to requests made from the OpenAPI document conform to it", async () => {
    const outcome = await run(
      "schemathesis",
      [
        ...["run", `http://127.0.0.1:${system.httpPort}/openapi.json`],
        ...["--seed", "1", "--max-examples", "1", "--phases", "coverage,fuzzing", "--no-color"],
        ...["--checks", checks.join()],
        // OpenIM's errors are 200.
        ...["--exclude-path-regex", "^/(user|account)/"],
      ],
      { cwd: folder, env: { ...process.env, SCHEMATHESIS_HOOKS: "hooks.py" }, maxBuffer: 64 * 1024 * 1024 },
    ).then(
      () => "",
      (error: { stdout?: string }) => error.stdout ?? String(error),
    );
    assert.equal(outcome, "");
  });
});

async function whyNot(): Promise<string | false> {
  try {
    await run("schemathesis", ["--version"]);
    return false;
  } catch {
    return "schemathesis (from PyPI) is not installed";
  }
}
