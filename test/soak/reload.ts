import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import type { EngineName } from "../engine.js";
import { echoProto } from "../gateway/echo.js";
import { echo, startBackend } from "../gateway/harness.js";
import { scriptFile } from "../node-script.js";
import { startTicks, ticksProto } from "../streams/ticks.js";
import { get, serve } from "../workers/served.js";
import { testedEngines } from "./engines.js";
import type { ProcessSample } from "./loop-probe.js";
import { ReloadLoad, type Tally } from "./reload-load.js";

const mebibyte = 1 << 20;

export interface ReloadRun {
  readonly engine: EngineName;
  readonly workers: number;
  readonly reloads: number;
  /** Reloads before, after which memory is looked at for the first time. */
  readonly warmUp: number;
  /** Further routes of the configuration. */
  readonly routes: number;
}

export interface ReloadResult {
  readonly tally: Tally;
  /** The most CPU time that one turn of the event loop of a process that serves took, milliseconds: without reloads, and with. */
  readonly quietTurnMs: number;
  readonly turnMs: number;
  /** Of all reloads, milliseconds each. */
  readonly reloadMs: number;
  /** Bytes in use of all processes together, before and after. */
  readonly heapBefore: number;
  readonly heapAfter: number;
}

/** Reloads a gateway again and again while requests, streams and sockets go on. */
export async function runReload(run: ReloadRun): Promise<ReloadResult> {
  const folder = mkdtempSync(join(tmpdir(), "protogate-soak-"));
  const backend = await startBackend({ "/test.v1.Echo/Get": echo });
  const ticks = await startTicks();
  const closing = [() => ticks.close(), () => backend.close()];
  // Each reload changes what routes are compiled to, and back.
  const yaml = (count: number): string => `
listeners: { http: { address: 127.0.0.1:0, engine: ${run.engine} }, admin: { address: 127.0.0.1:0 } }
upstreams: { echo: { targets: ["127.0.0.1:${backend.port}"], timeout: ${60 + (count % 2)}s }, ticks: { targets: ["127.0.0.1:${ticks.port}"] } }
service_defaults: { metadata: { request: [x-${count % 2}] } }
services: [{ service: test.v1.Ticks, upstream: ticks }, { service: "test.v1.**", upstream: echo }]
realtime: { path: /ws, auth: none, limits: { burst: ${1_000_000 - (count % 2)}, messages_per_second: 1000000 } }
telemetry: { log: { level: ${count === 0 ? "info" : "warn"} } }
server: { workers: ${run.workers}, drain: 60s }`;
  const probe = pathToFileURL(scriptFile("test/soak/loop-probe.ts"));
  probe.searchParams.set("folder", folder);
  const served = serve(yaml(0), protoOf(run.routes), {
    nodeOptions: ["--expose-gc", "--import", probe.href],
  });
  closing.push(() => served.close());
  try {
    const ready = await served.logged(({ msg }) => msg === "ready");
    const admin = `http://127.0.0.1:${ready.admin}`;
    const { workers = [] } = JSON.parse((await get(`${admin}/config`)).text) as {
      readonly workers?: readonly { readonly pid: number }[];
    };
    const serving = workers.length === 0 ? [served.pid] : workers.map(({ pid }) => pid);
    const all = [...new Set([served.pid, ...serving])];
    const samples = (): Promise<ProcessSample[]> => Promise.all(all.map(pid => sampleOf(folder, pid)));
    let done = 0;
    const reload = async (): Promise<void> => {
      served.write(yaml(++done), protoOf(run.routes));
      const { status, text } = await get(`${admin}/reload`, "POST");
      if (status !== 200) throw new Error(text);
    };
    const load = new ReloadLoad(Number(ready.http));
    closing.push(() => load.stop());
    await load.start();
    for (let count = 0; count < run.warmUp; count++) await reload();
    const before = await samples();
    const began = performance.now();
    for (let count = 0; count < run.reloads; count++) await reload();
    const took = performance.now() - began;
    const after = await samples();
    await sleep(took / 4);
    const quiet = await samples();
    const heap = (each: readonly ProcessSample[]): number =>
      each.reduce((sum, sample) => sum + sample.heap, 0);
    const longest = (each: readonly ProcessSample[]): number =>
      Math.max(
        ...each.filter((_, index) => serving.includes(all[index] as number)).map(({ turnMs }) => turnMs),
      );
    return {
      tally: load.tally,
      quietTurnMs: longest(quiet),
      turnMs: longest(after),
      reloadMs: took / run.reloads,
      heapBefore: heap(before),
      heapAfter: heap(after),
    };
  } finally {
    for (const close of closing.reverse()) await close();
    rmSync(folder, { recursive: true });
  }
}

/** The services of both backends, and further ones of ten methods each. */
function protoOf(routes: number): string {
  const more = Array.from({ length: Math.ceil(routes / 10) }, (_, service) => {
    const methods = Array.from({ length: 10 }, (_, method) => {
      const at = `/v1/s${service}/m${method}`;
      return `rpc M${method}(Item) returns (Item) { option (google.api.http) = { get: "${at}/{id}" }; }`;
    });
    return `service S${service} { ${methods.join("\n")} }`;
  });
  return [echoProto, ticksProto.replaceAll(/^(syntax|package|import) .*$/gm, ""), ...more].join("\n");
}

async function sampleOf(folder: string, pid: number): Promise<ProcessSample> {
  const file = join(folder, `${pid}.json`);
  rmSync(file, { force: true });
  process.kill(pid, "SIGUSR2");
  while (!existsSync(file)) await new Promise(resolve => setImmediate(resolve));
  return JSON.parse(readFileSync(file, "utf8")) as ProcessSample;
}

/** Whether 200 reloads under load cost no request, no socket and no memory. */
export async function soakReload(print: (line: string) => void): Promise<boolean> {
  let passed = true;
  for await (const engine of testedEngines(print)) {
    for (const run of [
      { engine, workers: 1, reloads: 200, warmUp: 40, routes: 0 },
      { engine, workers: 2, reloads: 200, warmUp: 40, routes: 0 },
      { engine, workers: 1, reloads: 5, warmUp: 1, routes: 15_000 },
    ]) {
      const { tally, turnMs, quietTurnMs, reloadMs, heapBefore, heapAfter } = await runReload(run);
      const { requests, ticks, deliveries, failures } = tally;
      const mebibytes = (bytes: number): string => (bytes / mebibyte).toFixed(1);
      print(
        `${engine}, ${run.workers} worker${run.workers === 1 ? "" : "s"}, ${run.routes} more routes: ${run.reloads} reloads of ${reloadMs.toFixed(0)} ms; ` +
          `${requests} requests, ${ticks} messages of streams, ${deliveries} of rooms; longest turn of the event loop ${turnMs.toFixed(0)} ms of CPU, without reloads ${quietTurnMs.toFixed(0)} ms; ` +
          `${mebibytes(heapBefore)} → ${mebibytes(heapAfter)} MiB in use`,
      );
      for (const [how, count] of failures) print(`  ${count} × ${how}`);
      // What is left of code and caches that still grow is small beside what 200 generations take.
      const most = 6 * mebibyte * (run.workers === 1 ? 1 : run.workers + 1);
      if (failures.size > 0 || (run.routes === 0 && heapAfter - heapBefore > most)) passed = false;
    }
  }
  return passed;
}
