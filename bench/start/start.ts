import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { compileRoutes } from "../../src/bindings/route-table.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import { loadConfig } from "../../src/gateway/config.js";
import { createPace } from "../../src/net/pace.js";
import type { Context, Finding, Group } from "../group.js";
import { peakRss, readUsage, residentMemory } from "../process/usage.js";
import { root } from "../repository.js";
import { buildGateway } from "../stage/build.js";

const rounds = 3;

/** What the start of a gateway costs that serves all of Google's public APIs. */
export const startGroup: Group = {
  name: "start",
  method: [
    "The gateway with every service of google-proto-files, each below a prefix of its own, until it is ready: the least of 3 starts.",
    "CPU time is that of all threads; memory is what is resident then, and the most that was.",
  ],
  async *run({ base, note }: Context): AsyncIterable<Finding> {
    const folder = mkdtempSync(join(tmpdir(), "protogate-bench-"));
    try {
      await buildGateway();
      const sources = await prepare(folder);
      for (const [name, config] of sources) {
        const remarks: string[] = [];
        for (const [checkout, from] of [
          ["", root],
          ["base: ", base],
        ] as const) {
          if (from === undefined) continue;
          const starts: Start[] = [];
          for (let round = 0; round < rounds; round++) starts.push(await start(join(from, "dist"), config));
          remarks.push(checkout + describe(starts));
          note(`${name}: ${remarks.at(-1)}`);
        }
        yield { workload: name, rows: [], remarks };
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

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

/** Configurations over the same descriptors as files and as a set. */
async function prepare(folder: string): Promise<ReadonlyMap<string, string>> {
  const from = join(root, "node_modules/google-proto-files");
  mkdirSync(join(folder, "protos/google"), { recursive: true });
  // google/protobuf is bundled; the package's copy imports files that it leaves out.
  for (const name of readdirSync(join(from, "google")))
    if (name !== "protobuf") symlinkSync(join(from, "google", name), join(folder, "protos/google", name));
  for (const name of ["gapic", "grafeas"]) symlinkSync(join(from, name), join(folder, "protos", name));
  const { model } = await loadModel([{ kind: "protos", folder: join(folder, "protos"), include: [] }]);
  writeFileSync(join(folder, "set.binpb"), model.descriptorSet());
  const services = [...model.services.keys()];
  const write = (name: string, source: string, exposed: readonly string[]): string => {
    const file = join(folder, `${name}.yaml`);
    const entries = exposed.map(
      service => `  - { service: ${service}, upstream: google, prefix: /${service} }`,
    );
    writeFileSync(
      file,
      `listeners: { http: { address: 127.0.0.1:0 }, admin: { address: 127.0.0.1:0 } }
descriptors: [${source}]
upstreams: { google: { targets: ["127.0.0.1:1"] } }
services:
${entries.join("\n")}
`,
    );
    return file;
  };
  const { config, locate } = loadConfig(write("all", "{ protos: ./protos }", services), {});
  if (config === undefined) throw new Error("the configuration is not valid");
  const { diagnostics } = await compileRoutes(config, model, locate, createPace());
  // A few services bind two methods to one path: gRPC tells them apart, REST cannot.
  const twice = new Set(
    diagnostics.flatMap(({ severity, path = "" }) =>
      severity === "error" ? [path.slice(0, path.lastIndexOf("."))] : [],
    ),
  );
  const exposed = services.filter(name => !twice.has(name));
  return new Map([
    ["files", write("files", "{ protos: ./protos }", exposed)],
    ["set", write("set", "{ set: ./set.binpb }", exposed)],
  ]);
}
