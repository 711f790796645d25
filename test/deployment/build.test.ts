import assert from "node:assert/strict";
import { execFileSync, fork, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { compiledMain } from "../compile.js";
import { echoProto } from "../gateway/echo.js";
import { root, scriptFile, scriptOptions } from "../node-script.js";
import { get, serve } from "../workers/served.js";

const yaml = `
listeners: { http: { address: 127.0.0.1:0 }, admin: { address: 127.0.0.1:0 } }
upstreams: { echo: { targets: ["127.0.0.1:1"] } }
services: [{ service: test.v1.Echo, upstream: echo }]
`;

describe("the gateway as build.mjs bundles it", () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-build-"));
  const main = join(folder, "dist/main.js");

  before(() => {
    // Compiles, which makes what the build copies.
    compiledMain();
    for (const name of ["src", "protos", "config", "package.json", "tsconfig.json", "build.mjs"])
      cpSync(join(root, name), join(folder, name), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    execFileSync(process.execPath, [join(folder, "build.mjs")], { stdio: "pipe" });
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const workers of [1, 2])
    it(`the bundled gateway serves with server.workers: ${workers}, and finds its pages and the bundled protos`, async t => {
      const served = serve(
        `${yaml}http: { docs: { path: /docs, openapi: /openapi.json, auth: none } }
server: { workers: ${workers} }`,
        echoProto,
        { main },
      );
      t.after(() => served.close());
      const { http, admin } = await served.logged(line => line.msg === "ready");
      for (const url of [`${http}/docs`, `${http}/openapi.json`, `${admin}/`, `${admin}/metrics`])
        assert.equal((await get(`http://127.0.0.1:${url}`)).status, 200, url);
      assert.equal((await get(`http://127.0.0.1:${http}/v1/items/7`)).status, 503);
      served.signal("SIGTERM");
      assert.equal(await served.ended, 0);
    });

  it("a bundled gateway of one service loads at most 40 files of its own", async () => {
    writeFileSync(join(folder, "echo.proto"), echoProto);
    writeFileSync(join(folder, "gateway.yaml"), `descriptors: [{ protos: echo.proto }]${yaml}`);
    const probe = pathToFileURL(scriptFile("test/upstream/loaded-scripts.ts")).href;
    const child = fork(main, ["serve", "-c", join(folder, "gateway.yaml")], {
      execArgv: [...scriptOptions, "--import", probe],
      silent: true,
    });
    const exited = once(child, "exit");
    let own: string[] = [];
    for await (const line of createInterface({ input: child.stdout! })) {
      if (!line.includes('"msg":"ready"')) continue;
      const reported = once(child, "message");
      child.send("scripts");
      const [urls] = (await reported) as [string[]];
      own = urls.filter(url => url.includes(`${folder}/dist/`));
      child.kill("SIGTERM");
    }
    await exited;
    assert.ok(own.length >= 1 && own.length <= 40, own.join("\n"));
  });

  for (const args of [
    ["check", "-c", "config/gateway.yaml"],
    ["audit", "-c", "config/gateway.yaml"],
    ["routes", "-c", "config/gateway.yaml"],
    ["explain", "-c", "config/gateway.yaml", "GET", "/v1/messages/7"],
    ["openapi", "-c", "config/gateway.yaml"],
    ["schema"],
    ["--version"],
  ])
    it(`the bundled command ${args[0]} prints what that of the sources prints`, () => {
      const run = (script: string): string => {
        const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { cwd: root });
        return `${stdout}${stderr}exit code ${status}`;
      };
      assert.equal(run(main), run(compiledMain()));
    });

  it("the bundled demo starts, and stops on SIGTERM", async () => {
    const child = spawn(process.execPath, [main, "demo"], {
      env: { ...process.env, HTTP_PORT: "0", REALTIME_PORT: "0", ADMIN_PORT: "0" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit");
    for await (const line of createInterface(child.stdout))
      if (line === "Protogate is running.") child.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
  });
});
