import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { FileWatcher } from "../../../src/gateway/reload/file-watcher.js";

const folder = mkdtempSync(join(tmpdir(), "protogate-watch-"));
after(() => rmSync(folder, { recursive: true }));

// A watcher does not keep a process alive.
const alive = setInterval(() => undefined, 1000);
after(() => clearInterval(alive));

/** A folder with files in it. */
function files(name: string, contents: Readonly<Record<string, string>>): (path: string) => string {
  const at = (path: string): string => join(folder, name, path);
  mkdirSync(at("."), { recursive: true });
  for (const [path, text] of Object.entries(contents)) {
    mkdirSync(join(at(path), ".."), { recursive: true });
    writeFileSync(at(path), text);
  }
  return at;
}

interface Watched {
  /** Resolves with the number of changes that were told, once there is another one. */
  next(): Promise<number>;
  readonly watcher: FileWatcher;
}

async function watching(paths: readonly string[]): Promise<Watched> {
  let changes = 0;
  let wake: () => void = () => undefined;
  const watcher = new FileWatcher({
    changed: () => {
      changes++;
      wake();
    },
    polling: reason => assert.fail(reason),
  });
  after(() => watcher.close());
  await watcher.watch(paths, Number.POSITIVE_INFINITY);
  return {
    watcher,
    next: () =>
      new Promise(resolve => {
        wake = () => resolve(changes);
      }),
  };
}

test("a file that is written again, replaced or removed is reported once each", async () => {
  const at = files("single", { "a.yaml": "1" });
  const { next } = await watching([at("a.yaml")]);
  for (const [count, change] of [
    () => writeFileSync(at("a.yaml"), "22"),
    () => {
      writeFileSync(at("a.tmp"), "33");
      renameSync(at("a.tmp"), at("a.yaml"));
    },
    () => rmSync(at("a.yaml")),
    () => writeFileSync(at("a.yaml"), "4"),
  ].entries()) {
    const told = next();
    change();
    assert.equal(await told, count + 1);
  }
});

test("files beside the watched one, and files of a folder that are no protos, change nothing", async () => {
  const at = files("beside", { "a.yaml": "1", "protos/x.proto": "", "protos/notes.txt": "" });
  const { next } = await watching([at("a.yaml"), at("protos")]);
  const told = next();
  writeFileSync(at("b.yaml"), "1");
  writeFileSync(at("protos/notes.txt"), "2");
  writeFileSync(at("protos/x.proto"), "// 2");
  assert.equal(await told, 1);
});

test("a proto file in a folder that did not exist before is reported", async () => {
  const at = files("below", { "protos/x.proto": "" });
  const { next } = await watching([at("protos")]);
  let told = next();
  mkdirSync(at("protos/deep/deeper"), { recursive: true });
  writeFileSync(at("protos/deep/deeper/y.proto"), "");
  assert.equal(await told, 1);
  told = next();
  writeFileSync(at("protos/deep/deeper/y.proto"), "// 2");
  assert.equal(await told, 2);
});

test("the file watcher reports a file that begins, or ceases, to match a glob", async () => {
  const at = files("globs", { "routes/a.yaml": "" });
  const { next } = await watching([at("routes/*.yaml"), at("later/**/*.yaml")]);
  for (const [count, change] of [
    () => writeFileSync(at("routes/b.yaml"), ""),
    () => rmSync(at("routes/a.yaml")),
    () => {
      mkdirSync(at("later/deep"), { recursive: true });
      writeFileSync(at("later/deep/c.yaml"), "");
    },
  ].entries()) {
    const told = next();
    change();
    assert.equal(await told, count + 1);
  }
});

test("a folder that comes to exist later is watched", async () => {
  const at = files("later", {});
  const { next } = await watching([at("protos")]);
  const told = next();
  mkdirSync(at("protos"));
  assert.equal(await told, 1);
});

test("the swap of a symbolic link is reported, as Kubernetes does with mounted files", async () => {
  const at = files("mounted", { "..1/gateway.yaml": "old", "..2/gateway.yaml": "new" });
  symlinkSync("..1", at("..data"));
  symlinkSync("..data/gateway.yaml", at("gateway.yaml"));
  const { next } = await watching([at("gateway.yaml")]);
  const told = next();
  symlinkSync("..2", at("..tmp"));
  renameSync(at("..tmp"), at("..data"));
  assert.equal(await told, 1);
});

test("the swap of a symbolic link above the folder of a file is reported, as deployments do with current", async () => {
  const at = files("releases", { "1/etc/gateway.yaml": "old", "2/etc/gateway.yaml": "new" });
  symlinkSync("1", at("current"));
  const { next } = await watching([at("current/etc/gateway.yaml")]);
  let told = next();
  symlinkSync("2", at("next"));
  renameSync(at("next"), at("current"));
  assert.equal(await told, 1);
  told = next();
  writeFileSync(at("2/etc/gateway.yaml"), "newer");
  assert.equal(await told, 2);
});

test("a file that changed while it was read is reported although it does not change any more", async () => {
  const at = files("raced", { "a.yaml": "1" });
  let told: () => void = () => undefined;
  const changed = new Promise<void>(resolve => {
    told = resolve;
  });
  const watcher = new FileWatcher({ changed: () => told(), polling: () => undefined });
  after(() => watcher.close());
  await watcher.watch([at("a.yaml")], 0);
  await changed;
});
