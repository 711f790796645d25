import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { type DemoBackend, startDemoBackend } from "../../src/demo/backend.js";
import { type Gateway, startGateway } from "../../src/gateway/gateway.js";

const root = resolve(import.meta.dirname, "../..");

interface Session {
  readonly command: string;
  readonly answer: string;
}

/** Every `$ command` of the `console` blocks with the lines that follow it, in the order of the page. */
function sessions(): Session[] {
  const text = readFileSync(resolve(root, "README.md"), "utf8");
  return [...text.matchAll(/^```console\n([\s\S]*?)^```$/gm)].flatMap(([, block = ""]) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map(entry => {
        const end = entry.indexOf("\n");
        return { command: entry.slice(0, end), answer: entry.slice(end + 1).trimEnd() };
      }),
  );
}

describe("the README", () => {
  let backend: DemoBackend;
  let gateway: Gateway;
  before(async () => {
    backend = await startDemoBackend();
    const ports = { HTTP_PORT: "0", REALTIME_PORT: "0", ADMIN_PORT: "0" };
    const env = { ...ports, DEMO_BACKEND_PORT: String(backend.port) };
    gateway = await startGateway(resolve(root, "config/gateway.yaml"), {
      env,
      logTo: { write: () => undefined },
    });
  });
  after(async () => {
    await gateway.close();
    await backend.close();
  });

  /** The command as on the page, against the ports of this run and the sources instead of the build. */
  function run(command: string): Promise<string> {
    const here = command
      .replaceAll("localhost:8080", `127.0.0.1:${gateway.httpPort}`)
      .replaceAll("localhost:8081", `127.0.0.1:${gateway.realtimePort}`)
      .replaceAll("localhost:9090", `127.0.0.1:${gateway.adminPort}`)
      .replaceAll("node dist/main.js", "node --import tsx src/main.ts");
    return new Promise(done => {
      execFile("bash", ["-c", here], { cwd: root }, (_error, stdout) => done(stdout.trimEnd()));
    });
  }

  for (const { command, answer } of sessions()) {
    it(`tells the truth about ${command}`, async () => {
      assert.equal(await run(command), answer);
    });
  }

  it("has something to tell", () => assert.ok(sessions().length > 8));
});
