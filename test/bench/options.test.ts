import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { OptionError, readOptions } from "../../bench/options.js";

const known = ["codec", "matcher", "rest", "soak"];
const usual = ["codec", "matcher", "rest"];

test("without options the usual groups run in full and nothing is written", () => {
  assert.deepEqual(readOptions([], known, usual), {
    base: undefined,
    groups: usual,
    quick: false,
    json: undefined,
  });
});

test("groups run in the order of the table, in whatever order the options name them", () => {
  assert.deepEqual(readOptions(["--only", "rest", "--only", "codec"], known, usual).groups, [
    "codec",
    "rest",
  ]);
  assert.deepEqual(readOptions(["--only=rest,matcher"], known, usual).groups, ["matcher", "rest"]);
});

test("a group that does not run by itself runs when it is named", () => {
  assert.deepEqual(readOptions(["--only", "soak"], known, usual).groups, ["soak"]);
});

test("--quick and --json are taken", () => {
  const file = join(tmpdir(), "rows.json");
  const { quick, json } = readOptions(["--quick", "--json", file], known, usual);
  assert.deepEqual({ quick, json }, { quick: true, json: file });
});

test("an unknown group is refused with the valid ones and the nearest", () => {
  assert.throws(
    () => readOptions(["--only", "codek"], known, usual),
    new OptionError(
      'there is no group "codek": expected one of codec, matcher, rest, soak; did you mean codec?',
    ),
  );
});

for (const args of [["--fast"], ["codec"], ["--only"], ["--quick=yes"]]) {
  test(`${args.join(" ")} is refused with the usage`, () => {
    assert.throws(
      () => readOptions(args, known, usual),
      (error: unknown) => error instanceof OptionError && error.message.includes("usage: npm run bench"),
    );
  });
}

test("a file in a folder that is not there is refused before anything runs", () => {
  assert.throws(
    () => readOptions(["--json", join(tmpdir(), "no-such-folder", "rows.json")], known, usual),
    /there is no folder .*no-such-folder/,
  );
});
