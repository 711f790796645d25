import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { runInNewContext } from "node:vm";
import { reference } from "../docs/page.js";
import { startTestGateway } from "../gateway/harness.js";
import { root } from "../node-script.js";
import { serve } from "../realtime/harness.js";
import { startHttpProxy } from "./http-proxy.js";
import { served } from "./members.js";

const here = join(root, "clients/js");

describe("the package @protogate/client", () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-client-"));
  const installed = join(folder, "node_modules/@protogate/client");
  before(() => {
    execFileSync("npm", ["run", "--silent", "build"], { cwd: here });
    const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: here });
    const [packed] = JSON.parse(output.toString()) as { files: { path: string }[] }[];
    for (const { path } of packed?.files ?? []) cpSync(join(here, path), join(installed, path));
    symlinkSync(join(root, "node_modules/ws"), join(folder, "node_modules/ws"));
    mkdirSync(join(folder, "src"));
  });
  after(() => rmSync(folder, { recursive: true }));

  it("the script build of the client is small and defines Protogate.Client", () => {
    const script = readFileSync(join(installed, "dist/protogate-client.min.js"));
    const scope: { Protogate?: { Client?: unknown } } = {};
    runInNewContext(`${script}; this.Protogate = Protogate`, scope);
    assert.equal(typeof scope.Protogate?.Client, "function");
    assert.ok(script.length <= maxScriptBytes, `${script.length} bytes`);
  });

  it("the script build of the fallback is small and defines its transports in ProtogateFallback", () => {
    const script = readFileSync(join(installed, "dist/protogate-fallback.min.js"));
    const scope: { ProtogateFallback?: object } = {};
    runInNewContext(`${script}; this.ProtogateFallback = ProtogateFallback`, scope);
    assert.deepEqual(Object.keys(scope.ProtogateFallback ?? {}).sort(), ["pollTransport", "sseTransport"]);
    assert.ok(script.length <= maxFallbackBytes, `${script.length} bytes`);
  });

  it("the declarations of the client hold without those of browsers and of Node.js", () => {
    const uses = `import { Client, type Loss } from "@protogate/client";
import { sseTransport } from "@protogate/client/fallback";
import { FakeServer } from "@protogate/client/testing";
const server = new FakeServer();
const transports = [server.transport, sseTransport(), "websocket"] as const;
const client = new Client({ url: "ws://test", transports, token: async () => "t" });
export const lost: Loss[] = [];
client.room("x", { last: 3 }).on("lost", loss => lost.push(loss));
export const reply: Promise<{ n: number }> = client.call<{ n: number }>("a.B/C");
// @ts-expect-error There is no such event.
client.room("x").on("nothing", () => {});
`;
    writeFileSync(join(folder, "src/uses.ts"), uses);
    const options = { target: "es2022", lib: ["es2023"], types: [], strict: true, noEmit: true };
    const compilerOptions = { ...options, module: "nodenext", exactOptionalPropertyTypes: true };
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["src"] }));
    execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", folder]);
  });

  it("the program on docs/reference/client.md sends a message and gets it back", async t => {
    const { url } = await serve(t);
    const [program = ""] = reference("client").blocks("js");
    writeFileSync(join(folder, "client.mjs"), program);
    const child = spawn(process.execPath, ["client.mjs", `${url}/ws`], {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
      timeout: 60_000,
    });
    const output = text(child.stdout);
    const [code] = await once(child, "exit");
    assert.deepEqual([code, await output], [0, "1 Ann: Hello\n"]);
  });

  it("the program with fallbacks on docs/reference/client.md comes through a proxy without WebSockets", async t => {
    const gateway = await startTestGateway(`realtime: { ${served} }\n`, {});
    t.after(() => gateway.close());
    const { port } = await startHttpProxy(t, gateway.httpPort);
    const [, program = ""] = reference("client").blocks("js");
    writeFileSync(join(folder, "fallback.mjs"), program);
    const child = spawn(process.execPath, ["fallback.mjs", `ws://127.0.0.1:${port}/ws`], {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"],
      timeout: 60_000,
    });
    const output = text(child.stdout);
    const [code] = await once(child, "exit");
    assert.deepEqual([code, await output], [0, "sse\n"]);
  });

  it("the example of tests on docs/reference/client.md runs", () => {
    const program = reference("client").blocks("js").at(-1) ?? "";
    writeFileSync(join(folder, "example.mjs"), `${program}client.close();\n`);
    execFileSync(process.execPath, ["example.mjs"], { cwd: folder });
  });
});

/** Minified, not compressed. */
const maxScriptBytes = 17 * 1024;
const maxFallbackBytes = 6 * 1024;
