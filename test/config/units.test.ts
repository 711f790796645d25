import assert from "node:assert/strict";
import { test } from "node:test";
import { Workspace } from "./workspace.js";

const workspace = new Workspace();
const listener = 'listeners: { http: { address: ":0" } }\n';

/** What the message about the value suggests; undefined where it suggests nothing. */
function suggested(section: string, env: Record<string, string> = {}): string | undefined {
  const { diagnostics } = workspace.load(listener + section, env);
  assert.equal(diagnostics.length, 1, section);
  return diagnostics[0]?.suggestion;
}

test("a size in another spelling is an error that suggests the right one", () => {
  const units = {
    KB: "KiB",
    kb: "KiB",
    K: "KiB",
    k: "KiB",
    MB: "MiB",
    mb: "MiB",
    M: "MiB",
    GB: "GiB",
    G: "GiB",
  };
  for (const [written, unit] of Object.entries({
    ...units,
    mib: "MiB",
    " MiB": "MiB",
    b: "",
    B: "",
    " bytes": "",
  })) {
    assert.equal(suggested(`http: { limits: { body: "1${written}" } }`), `1${unit}`, written);
  }
});

test("a duration in another spelling is an error that suggests the right one", () => {
  const spellings = {
    "5 s": "5s",
    "5S": "5s",
    "5sec": "5s",
    "5 seconds": "5s",
    "1min": "1m",
    "2 minutes": "2m",
    "1hr": "1h",
    "1 hour": "1h",
    "1H": "1h",
    "20 msec": "20ms",
    "1d": "24h",
    "1.5s": "1500ms",
  };
  for (const [written, duration] of Object.entries(spellings)) {
    assert.equal(suggested(`server: { drain: "${written}" }`), duration, written);
  }
});

test("nothing is suggested where nothing is near, or where it would be out of range", () => {
  for (const written of ["much", "1XB", "-1MB", "1.5MB", "1TB", "1000000GB"]) {
    assert.equal(suggested(`http: { limits: { body: "${written}" } }`), undefined, written);
  }
  for (const written of ["5", "soon", "2 fortnights", "9d", "0.1ms", "constructor", "1constructor"]) {
    assert.equal(suggested(`server: { drain: "${written}" }`), undefined, written);
  }
});

test("a value from the environment is not shown by way of a suggestion", () => {
  assert.equal(suggested(`http: { limits: { body: "\${BODY}" } }`, { BODY: "77MB" }), undefined);
});
