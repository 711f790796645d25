import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Context, Finding, Group } from "../group.js";
import { fastest, fastify } from "../rest/subjects.js";
import { requestBytes, smallGet, type Workload, workloads } from "../rest/workloads.js";
import { gatewayName, type Parts, startGateway } from "../stage/servers.js";
import { openStage, type Stage } from "../stage/stage.js";
import { areaOf } from "./areas.js";
import { type CpuProfile, type Frame, selfTimes } from "./cpu-profile.js";

const connections = 10;
const warmUp = { requests: 5000, milliseconds: 3000 };

/** Where the gateway's own CPU goes. */
export const profileGroup: Group = {
  name: "profile",
  method: [
    "V8's sampling profiler in the gateway, once it is warm. Time is put down to the module that spends it, or to the",
    "nearest caller that is not Node's core; garbage collection is a share of its own.",
  ],
  async *run(context: Context): AsyncIterable<Finding> {
    const stage = await openStage(context);
    const folder = await mkdtemp(join(tmpdir(), "protogate-bench-"));
    try {
      const file = join(folder, "gateway.cpuprofile");
      for (const parts of [fastest, fastify]) {
        for (const workload of context.quick ? [smallGet] : workloads)
          yield await profile(stage, parts, workload, file, context.quick);
      }
    } finally {
      await stage.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function profile(
  stage: Stage,
  parts: Parts,
  workload: Workload,
  file: string,
  quick: boolean,
): Promise<Finding> {
  const { child, port } = await startGateway(stage.site, parts);
  await stage.load.open(port, connections, requestBytes(workload));
  await stage.load.run(warmUp);
  const bounds = { requests: 100_000, milliseconds: quick ? 4000 : 10_000 };
  await child.profile(file, () => stage.load.run(bounds));
  await stage.load.close();
  await child.stop();
  const times = selfTimes(JSON.parse(await readFile(file, "utf8")) as CpuProfile);
  return {
    workload: `${gatewayName(parts)}: ${workload.name}, ${connections} connections`,
    rows: [],
    remarks: [
      "by module:",
      ...shares(times, areaOf, 12),
      "by function, its own time:",
      ...shares(times, functionOf, 12),
    ],
  };
}

function functionOf({ name, url, line }: Frame): string {
  if (url === "") return name;
  return `${name || "(anonymous)"} ${url.replace(/^.*\/(node_modules|dist)\//, "")}:${line}`;
}

/** The largest shares, largest first. */
function shares(times: ReadonlyMap<Frame, number>, nameOf: (frame: Frame) => string, most: number): string[] {
  const sums = new Map<string, number>();
  let total = 0;
  for (const [frame, time] of times) {
    const name = nameOf(frame);
    sums.set(name, (sums.get(name) ?? 0) + time);
    total += time;
  }
  return [...sums]
    .sort(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([name, time]) => `${((time / total) * 100).toFixed(1).padStart(6)} %  ${name}`);
}
