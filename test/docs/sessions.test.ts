import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse, stringify } from "yaml";
import { type DemoBackend, startDemoBackend } from "../../src/demo/backend.js";
import { chatPage } from "../../src/demo/chat-page.js";
import { startGateway } from "../../src/gateway/gateway.js";
import type { Gateway } from "../../src/gateway/gateway-options.js";
import { root, scriptArguments } from "../node-script.js";
import { type Greeter, startGreeter } from "./greeter.js";
import { isGuide, type Page, pages, readme } from "./page.js";
import { steady } from "./steady.js";

/** What pages say to save: scripts, and the files of the README. */
const folder = mkdtempSync(join(tmpdir(), "protogate-docs-"));
before(() => {
  for (const script of pages.flatMap(page => page.blocks("js"))) {
    const [, name = ""] = /^\/\/ (\S+):/.exec(script) ?? [];
    assert.notEqual(name, "", `a script has its name in the first line: ${script}`);
    writeFileSync(join(folder, name), script);
  }
});
after(() => rmSync(folder, { recursive: true }));

for (const page of pages) if (!isGuide(page) && page.sessions().length > 0) describeSessions(page);

/** Runs the commands of a page against the demo, started anew for each page. */
function describeSessions(page: Page): void {
  describe(`the commands of ${page.path}`, () => {
    let backend: DemoBackend;
    let gateway: Gateway;
    let own: OwnBackend | undefined;
    before(async () => {
      backend = await startDemoBackend();
      const ports = { HTTP_PORT: "0", REALTIME_PORT: "0", ADMIN_PORT: "0" };
      const env = {
        ...ports,
        DEMO_BACKEND_PORT: String(backend.port),
        DEMO_TRPC_PORT: String(backend.trpcPort),
      };
      gateway = await startGateway(join(root, "config/gateway.yaml"), {
        env,
        logTo: { write: () => undefined },
        endpoints: chatPage(),
      });
      if (page === readme) own = await startOwnBackend();
    });
    after(async () => {
      await own?.gateway.close();
      await own?.greeter.close();
      await gateway.close();
      await backend.close();
    });

    for (const { command, setup, output } of page.sessions())
      it(`the commands of ${page.path} print what the page shows: ${command}`, async () => {
        assert.equal(steady(await run(`${setup}${command}`)), steady(output));
      });

    /** The command as on the page, against the ports of this run and the sources instead of the build. */
    function run(command: string): Promise<string> {
      const here = command
        .replaceAll("localhost:8000", `127.0.0.1:${own?.gateway.httpPort}`)
        .replaceAll("localhost:8080", `127.0.0.1:${gateway.httpPort}`)
        .replaceAll("localhost:8081", `127.0.0.1:${gateway.realtimePort}`)
        .replaceAll("localhost:9090", `127.0.0.1:${gateway.adminPort}`)
        .replaceAll("node dist/main.js", `node ${scriptArguments("src/main.ts").join(" ")}`)
        .replace(/ (\w+\.mjs) /g, ` ${folder}/$1 `);
      return new Promise(done => {
        execFile("bash", ["-c", here], { cwd: root }, (_error, stdout, stderr) => {
          done(`${stdout}${stdout === "" ? stderr : ""}`.trimEnd());
        });
      });
    }
  });
}

interface OwnBackend {
  readonly greeter: Greeter;
  readonly gateway: Gateway;
}

/** The README's example of an own backend: its proto and configuration, in front of a server with that proto. */
async function startOwnBackend(): Promise<OwnBackend> {
  const proto = readme.blocks("proto").find(block => block.includes("greeter.v1")) ?? "";
  const [yaml = ""] = readme.blocks("yaml");
  mkdirSync(join(folder, "protos"));
  const file = join(folder, "protos/greeter.proto");
  writeFileSync(file, proto);
  const greeter = await startGreeter(file);
  const config = parse(yaml.replace("127.0.0.1:8000", "127.0.0.1:0").replace("50051", String(greeter.port)));
  config.listeners.admin = { address: "127.0.0.1:0" };
  const path = join(folder, "gateway.yaml");
  writeFileSync(path, stringify(config));
  const gateway = await startGateway(path, { env: {}, logTo: { write: () => undefined } });
  return { greeter, gateway };
}
