import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { platform, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { errorMessage } from "../../src/net/error-text.js";
import { loadUws } from "../../src/net/uws-addon.js";
import { compiledMain } from "../compile.js";
import { echoProto } from "../gateway/echo.js";
import { type Backend, echo, startBackend } from "../gateway/harness.js";
import { root } from "../node-script.js";
import { freePort, untilAccepts } from "../ports.js";
import { serve } from "../workers/served.js";

// What is measured does not record coverage.
process.env.NODE_V8_COVERAGE = "";

const connections = 10;
const requests = 10_000;
/** Of all connections, before it is looked at how much CPU time they took. */
const batch = 50;
/** The load is a sixth of a CPU: where it is more, V8's young generation is given more memory for the sake of time. */
const share = 1 / 6;
const request = "GET /v1/items/7 HTTP/1.1\r\nhost: localhost\r\n\r\n";

/** MiB that the gateway may have resident above what Node.js itself has, by Node.js's major version. */
const mostMiB: Readonly<Record<string, number>> = { 20: 52, 22: 61 };
const [major = ""] = process.versions.node.split(".");
const skip =
  platform() !== "linux"
    ? "resident memory is read from /proc, which only Linux has"
    : !(major in mostMiB) && `not measured on Node.js ${major}`;

describe("the memory of a gateway with one route", { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-memory-"));
  let backend: Backend;

  before(async () => {
    // Compiles, which makes what the build copies.
    compiledMain();
    for (const name of ["src", "protos", "config", "package.json", "tsconfig.json", "build.mjs"])
      cpSync(join(root, name), join(folder, name), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    execFileSync(process.execPath, [join(folder, "build.mjs")], { stdio: "pipe" });
    backend = await startBackend({ "/test.v1.Echo/Get": echo });
  });
  after(async () => {
    await backend?.close();
    rmSync(folder, { recursive: true });
  });

  for (const engine of ["uws", "fastify"])
    it(`a bundled gateway of one route keeps its resident memory small under load, with the engine ${engine}`, async t => {
      if (engine === "uws") {
        const absent = await loadUws(16_384).then(() => undefined, errorMessage);
        if (absent !== undefined) return t.skip(absent);
      }
      const port = await freePort();
      const served = serve(
        `listeners: { http: { address: "127.0.0.1:${port}", engine: ${engine} }, admin: { address: "127.0.0.1:0" } }
upstreams: { echo: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: test.v1.Echo, upstream: echo }]
telemetry: { log: { level: warn } }`,
        echoProto,
        { main: join(folder, "dist/main.js") },
      );
      t.after(() => served.close());
      await untilAccepts(port, served.ended);
      await load(port, served.pid);
      const [resident, bare] = [residentMiB(served.pid), await bareMiB()];
      t.diagnostic(`${resident.toFixed(1)} MiB, Node.js alone ${bare.toFixed(1)} MiB`);
      assert.ok(resident - bare < (mostMiB[major] ?? 0), `${resident} MiB, Node.js alone ${bare} MiB`);
    });
});

/** Requests on connections that each have one under way, as fast as the gateway uses its share of a CPU. */
async function load(port: number, pid: number): Promise<void> {
  const sockets = Array.from({ length: connections }, () => connect(port, "127.0.0.1").setEncoding("latin1"));
  for (let sent = 0; sent < requests; sent += batch) {
    const [startedAt, cpu] = [performance.now(), cpuMs(pid)];
    await Promise.all(sockets.map(send));
    const left = startedAt + (cpuMs(pid) - cpu) / share - performance.now();
    if (left > 0) await pause(left);
  }
  for (const socket of sockets) socket.destroy();
}

async function send(socket: Socket): Promise<void> {
  for (let sent = 0; sent < batch / connections; sent++) {
    socket.write(request);
    let response = "";
    while (!response.endsWith("}")) response += (await once(socket, "data"))[0];
    assert.match(response, /^HTTP\/1\.1 200 /);
  }
}

/** CPU time of all threads of a process. */
function cpuMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const used = threads.map(thread => {
    try {
      return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
    } catch {
      // The thread has ended since.
      return 0;
    }
  });
  return used.reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1e6;
}

function residentMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

/** What Node.js has resident before it does anything. */
async function bareMiB(): Promise<number> {
  const child = spawn(process.execPath, ["-e", "console.log(); setInterval(() => {}, 1e9)"]);
  try {
    await once(child.stdout, "data");
    return residentMiB(child.pid ?? 0);
  } finally {
    child.kill("SIGKILL");
  }
}
