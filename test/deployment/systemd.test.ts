import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { root, scriptArguments } from "../node-script.js";

const unit = readFileSync(join(root, "config/systemd/protogate.service"), "utf8");
const settings = unit
  .split("\n")
  .filter(line => /^\w+=/.test(line))
  .map(line => line.split(/=(.*)/s) as [string, string]);

describe("config/systemd/protogate.service", () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-systemd-"));
  const file = join(folder, "protogate.service");
  // systemd-analyze looks for the program.
  writeFileSync(file, unit.replaceAll("/usr/bin/protogate", "/bin/true"));
  after(() => rmSync(folder, { recursive: true }));

  const skip = spawnSync("systemd-analyze", ["--version"]).status === 0 ? false : "systemd is not installed";

  it("the systemd unit passes systemd-analyze verify without a word", { skip }, () => {
    const { status, stdout, stderr } = spawnSync("systemd-analyze", ["verify", file], { encoding: "utf8" });
    assert.deepEqual([status, stdout, stderr], [0, "", ""]);
  });

  it("the systemd unit has an exposure below 2 of 10 by systemd-analyze security", { skip }, () => {
    const args = ["security", "--offline=yes", "--threshold=20", "--no-pager", file];
    const { status, stdout } = spawnSync("systemd-analyze", args, { encoding: "utf8" });
    assert.equal(status, 0, stdout);
  });

  it("the systemd unit runs commands that exist, and checks a configuration before it reloads it", () => {
    const usage = execFileSync("node", [...scriptArguments("src/main.ts"), "--help"], {
      cwd: root,
    }).toString();
    const commands = all("ExecStart").concat(all("ExecReload"));
    for (const [program, verb] of commands.map(command => command.split(" ")))
      if (program !== "/bin/kill") assert.ok(usage.includes(`protogate ${verb} `), verb);
    assert.deepEqual(all("ExecReload"), [
      "/usr/bin/protogate check -c /etc/protogate/gateway.yaml",
      "/bin/kill -HUP $MAINPID",
    ]);
  });

  it("the systemd unit waits longer for the end than server.drain lasts, and signals only the primary", () => {
    const schema = JSON.parse(readFileSync(join(root, "config/protogate.schema.json"), "utf8"));
    const drain = /^(\d+)s$/.exec(schema.properties.server.properties.drain.default)?.[1];
    assert.ok(Number(all("TimeoutStopSec")[0]) > Number(drain));
    assert.deepEqual(all("KillMode"), ["mixed"]);
  });

  it("the systemd unit lets JavaScript be compiled", () => {
    assert.deepEqual(all("MemoryDenyWriteExecute"), ["no"]);
  });

  function all(name: string): string[] {
    return settings.filter(([key]) => key === name).map(([, value]) => value);
  }
});
