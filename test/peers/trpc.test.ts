import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { promisify } from "node:util";
import { Code } from "../../src/status/code.js";
import { call, textOf, trpcChannel } from "../upstream/trpc/backend.js";

const run = promisify(execFile);
const source = join(import.meta.dirname, "trpc");

/** The compiled server, in this folder; or why there is none. */
async function build(folder: string): Promise<{ readonly file: string } | { readonly missing: string }> {
  try {
    await run("go", ["version"], { cwd: source });
  } catch {
    return { missing: "go is not installed" };
  }
  try {
    await run("go", ["mod", "download"], { cwd: source, timeout: 120_000 });
  } catch {
    return { missing: "the Go modules of test/peers/trpc can neither be found nor downloaded" };
  }
  const file = join(folder, "server");
  await run("go", ["build", "-o", file, "."], { cwd: source });
  return { file };
}

test("a real tRPC-Go server is called: responses in any order, gzip, trans_info, each kind of error, and a panic", async t => {
  const folder = await mkdtemp(join(tmpdir(), "protogate-trpc-go-"));
  try {
    const built = await build(folder);
    if ("missing" in built) {
      t.skip(built.missing);
      return;
    }
    // What it says of a panic goes to its standard error.
    const child = spawn(built.file, { cwd: folder, stdio: ["pipe", "pipe", "ignore"] });
    const exited = once(child, "exit");
    const [line] = await once(createInterface(child.stdout), "line");
    const channel = trpcChannel([`127.0.0.1:${String(line).replace("listening ", "")}`], {
      compressFrom: 1000,
    });
    try {
      const texts = Array.from({ length: 500 }, (_, index) => `call ${index}`);
      const all = await Promise.all(texts.map(text => call(channel, "Echo", text)));
      assert.deepEqual(all.map(textOf), texts);
      const large = "gzip ".repeat(10_000);
      assert.equal(textOf(await call(channel, "Echo", large)), large);
      const echoed = await call(channel, "Echo", "x", { metadata: [["x-user", "ann"]] });
      assert.deepEqual(echoed.headers, [["x-total", "7"]]);
      const business = await call(channel, "Echo", "business");
      assert.deepEqual(
        [business.status.origin, business.status.backendCode, business.status.message],
        ["business", 10001, "business says no"],
      );
      const overload = await call(channel, "Echo", "overload");
      assert.deepEqual(
        [overload.status.origin, overload.status.code],
        ["framework", Code.RESOURCE_EXHAUSTED],
      );
      const plain = await call(channel, "Echo", "plain");
      assert.deepEqual([plain.status.origin, plain.status.backendCode], ["business", 999]);
      const panicked = await call(channel, "Echo", "panic", { timeout: 200 });
      assert.equal(panicked.status.code, Code.DEADLINE_EXCEEDED);
      assert.equal(textOf(await call(channel, "Echo", "after")), "after");
    } finally {
      await channel.close();
      child.stdin.end();
      await exited;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
