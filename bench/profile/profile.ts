import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Context, Finding, Group } from "../group.js";
import { fastest, fastify } from "../rest/subjects.js";
import { requestBytes, smallGet, type Workload, workloads } from "../rest/workloads.js";
import { gatewayName, type Parts, startGateway } from "../stage/servers.js";
import { openStage, type Stage } from "../stage/stage.js";
import { areaOf } from "./areas.js";
import { type CpuProfile, type Frame, type HeapProfile, selfBytes, selfTimes } from "./cpu-profile.js";

const connections = 10;
const warmUp = { requests: 5000, milliseconds: 3000 };

/** Where the gateway's own CPU goes, and what it allocates. */
export const profileGroup: Group = {
  name: "profile",
  method: [
    "V8's sampling profiler in the gateway, once it is warm. Time is put down to the module that spends it, or to the",
    "nearest caller that is not Node's core; garbage collection is a share of its own. Bytes: V8's sampling heap",
    "profiler, garbage included, without the contents of Buffers. With --base the other checkout is profiled too.",
  ],
  async *run(context: Context): AsyncIterable<Finding> {
    const stage = await openStage(context);
    const folder = await mkdtemp(join(tmpdir(), "protogate-bench-"));
    try {
      const file = join(folder, "gateway.cpuprofile");
      const checkouts = context.base === undefined ? [undefined] : [undefined, context.base];
      for (const parts of [fastest, fastify]) {
        for (const workload of context.quick ? [smallGet] : workloads) {
          for (const checkout of checkouts)
            yield await profile(stage, { parts, checkout }, workload, file, context.quick);
        }
      }
    } finally {
      await stage.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

/** What is profiled; `checkout` is the root of another one. */
interface Profiled {
  readonly parts: Parts;
  readonly checkout: string | undefined;
}

async function profile(
  stage: Stage,
  { parts, checkout }: Profiled,
  workload: Workload,
  file: string,
  quick: boolean,
): Promise<Finding> {
  const { child, port } = await startGateway(stage.site, parts, {
    asModules: true,
    ...(checkout !== undefined && { checkout }),
  });
  await stage.load.open({ port, connections }, requestBytes(workload));
  await stage.load.run(warmUp);
  const bounds = { requests: 100_000, milliseconds: quick ? 4000 : 10_000 };
  await child.profile(file, () => stage.load.run(bounds));
  const times = selfTimes(JSON.parse(await readFile(file, "utf8")) as CpuProfile);
  let requests = 0;
  await child.allocations(file, async () => {
    ({ requests } = await stage.load.run(bounds));
  });
  const bytes = selfBytes(JSON.parse(await readFile(file, "utf8")) as HeapProfile);
  await stage.load.close();
  await child.stop();
  const name = `${gatewayName(parts)}${checkout === undefined ? "" : " before"}`;
  return {
    workload: `${name}: ${workload.name}, ${connections} connections`,
    rows: [],
    remarks: [
      "by module:",
      ...shares(times, areaOf, 12),
      "by function, its own time:",
      ...shares(times, functionOf, 12),
      "by function, bytes that it allocates for each request:",
      ...largest(bytes, callerOf, 16, sum => (sum / requests).toFixed(0).padStart(6)),
    ],
  };
}

function functionOf({ name, url, line }: Frame): string {
  if (url === "") return name;
  return `${name || "(anonymous)"} ${url.replace(/^.*\/(node_modules|dist|src)\//, "")}:${line}`;
}

/** The nearest caller that is a file: what the core of Node.js or V8 allocates is due to whom it works for. */
function callerOf(frame: Frame): string {
  for (let at: Frame | undefined = frame; at !== undefined; at = at.caller)
    if (at.url.startsWith("file:")) return functionOf(at);
  return "Node's event loop, streams, timers";
}

function shares(times: ReadonlyMap<Frame, number>, nameOf: (frame: Frame) => string, most: number): string[] {
  const total = [...times.values()].reduce((sum, time) => sum + time, 0);
  return largest(times, nameOf, most, sum => `${((sum / total) * 100).toFixed(1).padStart(6)} %`);
}

/** The largest sums by name, largest first. */
function largest(
  values: ReadonlyMap<Frame, number>,
  nameOf: (frame: Frame) => string,
  most: number,
  format: (sum: number) => string,
): string[] {
  const sums = new Map<string, number>();
  for (const [frame, value] of values) {
    const name = nameOf(frame);
    sums.set(name, (sums.get(name) ?? 0) + value);
  }
  return [...sums]
    .sort(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([name, sum]) => `${format(sum)}  ${name}`);
}
