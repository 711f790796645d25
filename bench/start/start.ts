import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Context, Finding, Group } from "../group.js";
import { peakRss, readUsage, residentMemory } from "../process/usage.js";
import { root } from "../repository.js";
import { buildGateway } from "../stage/build.js";
import { siteAlone, startScript } from "../stage/servers.js";
import { configOf, googleApis, manyServices, type Workload } from "./workloads.js";

const rounds = 3;

/** What the start of a gateway with 15,000 routes costs. */
export const startGroup: Group = {
  name: "start",
  method: [
    "The gateway until it is ready: the least of 3 starts. CPU time is that of all threads; memory is what is resident then,",
    "and the most that was. `many`: 1,500 services with 10 methods each, in 150 packages of 35 messages; `google`: all services of",
    "google-proto-files, each below a prefix of its own. As .proto files, as a descriptor set, and by reflection of an upstream.",
  ],
  async *run(context: Context): AsyncIterable<Finding> {
    const { base, quick, note } = context;
    const folder = mkdtempSync(join(tmpdir(), "protogate-bench-"));
    try {
      await buildGateway();
      const many = await manyServices(folder);
      const workloads: [name: string, config: string][] = [
        ["many, set", configOf(`{ set: ${many.set} }`, many.services)],
        ["many, files", configOf(`{ protos: ${many.protos} }`, many.services)],
        ["many, reflection", await reflected(many, context)],
      ];
      if (!quick) {
        const google = await googleApis(folder);
        workloads.push(["google, set", configOf(`{ set: ${google.set} }`, google.services)]);
        workloads.push(["google, files", configOf(`{ protos: ${google.protos} }`, google.services)]);
      }
      const file = join(folder, "gateway.yaml");
      for (const [workload, config] of workloads) {
        writeFileSync(file, config);
        const remarks: string[] = [];
        for (const [checkout, from] of [
          ["", root],
          ["base: ", base],
        ] as const) {
          if (from === undefined) continue;
          const starts: Start[] = [];
          for (let round = 0; round < rounds; round++) starts.push(await start(join(from, "dist"), file));
          remarks.push(checkout + describe(starts));
          note(`${workload}: ${remarks.at(-1)}`);
        }
        yield { workload, rows: [], remarks };
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

/** The configuration over an upstream that offers a workload by reflection. */
async function reflected({ set, services }: Workload, { children, cpus }: Context): Promise<string> {
  const { port } = await startScript(siteAlone(children, cpus.load), "start/reflection-server", { SET: set });
  return configOf("{ reflection: backend }", services, `127.0.0.1:${port}`);
}

interface Start {
  readonly cpuSeconds: number;
  readonly resident: number;
  readonly peak: number;
  readonly bindings: number;
}

function describe(starts: readonly Start[]): string {
  const least = (of: (each: Start) => number): number => Math.min(...starts.map(of));
  const mib = (of: (each: Start) => number): string => `${Math.round(least(of) / 2 ** 20)} MiB`;
  const cpu = least(each => each.cpuSeconds).toFixed(2);
  return `${least(each => each.bindings)} bindings, ${cpu} s of CPU, ${mib(each => each.resident)} resident, ${mib(each => each.peak)} at most`;
}

/** Runs a built gateway until it is ready. */
async function start(dist: string, config: string): Promise<Start> {
  const gateway = spawn(process.execPath, [join(dist, "main.js"), "serve", "-c", config], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    for await (const line of createInterface({ input: gateway.stdout })) {
      const { msg, bindings = 0 } = JSON.parse(line) as { msg: string; bindings?: number };
      const { pid } = gateway;
      if (msg !== "ready" || pid === undefined) continue;
      const { cpuSeconds } = readUsage(pid);
      return { cpuSeconds, resident: residentMemory(pid), peak: peakRss(pid), bindings };
    }
    throw new Error(`the gateway of ${dist} ended before it was ready`);
  } finally {
    gateway.kill("SIGKILL");
  }
}
