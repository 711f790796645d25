import assert from "node:assert/strict";
import { readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { watchedFile } from "../../src/auth/providers/watched-file.js";
import { Workspace } from "../config/workspace.js";

const workspace = new Workspace();

/** A watched text file; `next` resolves with the content, or the problem, of the next reading. */
function watch(file: string) {
  let next: (found: unknown) => void = () => undefined;
  const watched = watchedFile(
    file,
    () => readFileSync(file, "utf8"),
    (problem, content) => next(problem ?? content),
  );
  // Watching alone does not keep the process running.
  const alive = setInterval(() => undefined, 1000);
  return {
    watched,
    next: () =>
      new Promise(resolve => {
        next = resolve;
      }),
    close: () => {
      clearInterval(alive);
      watched.close();
    },
  };
}

test("a change right after the first reading is noticed, in each of many files", async () => {
  const files = Array.from({ length: 100 }, (_, index) => workspace.write(`many/${index}`, "old"));
  const watches = files.map(watch);
  const noticed = watches.map(each => each.next());
  for (const file of files) writeFileSync(file, "new");
  assert.deepEqual(await Promise.all(noticed), Array(100).fill("new"));
  for (const each of watches) each.close();
});

test("a file that goes leaves its content, and is read when it is back", async () => {
  const file = workspace.write("gone", "a");
  const { watched, next, close } = watch(file);
  const gone = next();
  rmSync(file);
  assert.match(String(await gone), /ENOENT/);
  assert.equal(watched.content, "a");
  const back = next();
  writeFileSync(file, "b");
  assert.equal(await back, "b");
  assert.equal(watched.content, "b");
  close();
});

test("a swapped symbolic link, as Kubernetes mounts secrets, is a change", async () => {
  workspace.write("first", "same");
  workspace.write("second", "SAME");
  symlinkSync("first", workspace.path("link"));
  const { next, close } = watch(workspace.path("link"));
  const swapped = next();
  symlinkSync("second", workspace.path("link2"));
  renameSync(workspace.path("link2"), workspace.path("link"));
  assert.equal(await swapped, "SAME");
  close();
});

test("the first reading throws what is wrong", () => {
  assert.throws(() => watch(workspace.path("no")), /ENOENT/);
});
