import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Context, Finding, Group } from "../group.js";
import { type Contender, measureCell, type Plan } from "../measure/cell.js";
import { httpDriver } from "../measure/driver.js";
import { requestCpu } from "../metric.js";
import { hasStrace } from "../process/strace.js";
import { root } from "../repository.js";
import { requestBytes, smallGet } from "../rest/workloads.js";
import { type Parts, startGateway, startScript } from "../stage/servers.js";
import { openStage, type Stage } from "../stage/stage.js";

const engines: readonly Parts["engine"][] = ["uws", "fastify"];
const without = "no tracing";
/** Shares of traces that are recorded, by the names of gateways; the same gateway twice is the noise of the run. */
const samples: readonly (readonly [name: string, sample: number | undefined])[] = [
  [without, undefined],
  ["no tracing, again", undefined],
  ["sample 0", 0],
  ["sample 0.01", 0.01],
];

/** As group `auth` has it: a process that waits for its turn must not grow its young generation anew. */
const nodeOptions = ["--min-semi-space-size=16"];

/** What tracing costs requests of which no trace, or hardly one, is recorded. */
export const tracingGroup: Group = {
  name: "tracing",
  method: [
    "The small GET, without a traceparent, by gateways with and without telemetry.tracing in turn. What is recorded goes",
    "to a collector on the CPU of the load. The ratio of the same gateway to itself is the spread of the run.",
  ],
  async *run(context: Context): AsyncIterable<Finding> {
    const stage = await openStage(context);
    const folder = await mkdtemp(join(tmpdir(), "protogate-bench-"));
    try {
      const collector = await startScript({ ...stage.site, cpu: context.cpus.load }, "tracing/collector", {});
      for (const engine of engines) yield* measure(context, stage, engine, folder, collector.port);
    } finally {
      await stage.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function* measure(
  { quick, cpus }: Context,
  { site, load, upstream }: Stage,
  engine: Parts["engine"],
  folder: string,
  collector: number,
): AsyncIterable<Finding> {
  const servers = [];
  for (const [name, sample] of samples) {
    const config = await writeConfig(folder, collector, sample);
    servers.push({
      name,
      server: await startGateway(site, { engine, transport: "lean" }, { config, nodeOptions }),
    });
  }
  const request = requestBytes(smallGet);
  for (const connections of quick ? [10] : [10, 100]) {
    const finding = await measureCell({
      group: "tracing",
      workload: `small GET, engine ${engine}, ${connections} connections`,
      plan: planOf(quick),
      contenders: servers.map(
        ({ name, server: { child, port } }): Contender => ({
          name,
          baselines: name === without ? [] : [without],
          child,
          language: "node",
          driver: httpDriver(load, { port, connections, request }),
        }),
      ),
      upstream: upstream.child,
      spareCpu: cpus.load,
    });
    const more = finding.rows
      .filter(({ metric }) => metric === requestCpu.name)
      .map(({ subject, ratio }) => `${subject} ${((1 / ratio - 1) * 100).toFixed(1)} %`);
    yield { ...finding, remarks: [`CPU/request over ${without}: ${more.join(", ")}`, ...finding.remarks] };
  }
  for (const { server } of servers) await server.child.stop();
}

/** The bench's configuration, with tracing where some is wanted. */
async function writeConfig(folder: string, collector: number, sample: number | undefined): Promise<string> {
  const text = await readFile(join(root, "bench/stage/gateway.yaml"), "utf8");
  const tracing =
    sample === undefined ? "" : `  tracing: { otlp: "http://127.0.0.1:${collector}", sample: ${sample} }\n`;
  const file = join(folder, `${sample ?? "none"}.yaml`);
  await writeFile(file, text.replace("../protos", join(root, "bench/protos")) + tracing);
  return file;
}

function planOf(quick: boolean): Plan {
  const plan = quick
    ? { pairs: 11, warmUp: 2000, milliseconds: 150, tracedRequests: 1000 }
    : { pairs: 31, warmUp: 4000, milliseconds: 200, tracedRequests: 2000 };
  return hasStrace() ? plan : { ...plan, tracedRequests: 0 };
}
