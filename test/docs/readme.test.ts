import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type DemoBackend, startDemoBackend } from "../../src/demo/backend.js";
import { chatPage } from "../../src/demo/chat-page.js";
import { type Gateway, startGateway } from "../../src/gateway/gateway.js";
import { readme, root } from "./page.js";
import { steady } from "./steady.js";

describe("the README", () => {
  /** What the page says to save stands here. */
  const folder = mkdtempSync(join(tmpdir(), "protogate-readme-"));
  let backend: DemoBackend;
  let gateway: Gateway;
  before(async () => {
    for (const script of readme.blocks("js")) {
      const [, name = ""] = /^\/\/ (\S+):/.exec(script) ?? [];
      assert.notEqual(name, "", `a script says its name in the first line: ${script}`);
      writeFileSync(join(folder, name), script);
    }
    backend = await startDemoBackend();
    const ports = { HTTP_PORT: "0", REALTIME_PORT: "0", ADMIN_PORT: "0" };
    const env = { ...ports, DEMO_BACKEND_PORT: String(backend.port) };
    gateway = await startGateway(join(root, "config/gateway.yaml"), {
      env,
      logTo: { write: () => undefined },
      endpoints: chatPage(),
    });
  });
  after(async () => {
    await gateway.close();
    await backend.close();
    rmSync(folder, { recursive: true });
  });

  /** The command as on the page, against the ports of this run and the sources instead of the build. */
  function run(command: string): Promise<string> {
    const here = command
      .replaceAll("localhost:8080", `127.0.0.1:${gateway.httpPort}`)
      .replaceAll("localhost:8081", `127.0.0.1:${gateway.realtimePort}`)
      .replaceAll("localhost:9090", `127.0.0.1:${gateway.adminPort}`)
      .replaceAll("node dist/main.js", "node --import tsx src/main.ts")
      .replace(/ (\w+\.mjs) /g, ` ${folder}/$1 `);
    return new Promise(done => {
      execFile("bash", ["-c", here], { cwd: root }, (_error, stdout, stderr) => {
        done(`${stdout}${stdout === "" ? stderr : ""}`.trimEnd());
      });
    });
  }

  for (const { command, setup, answer } of readme.sessions()) {
    it(`tells the truth about ${command}`, async () => {
      assert.equal(steady(await run(`${setup}${command}`)), steady(answer));
    });
  }

  it("has something to tell", () => assert.ok(readme.sessions().length > 20));
});
