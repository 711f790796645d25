import type { Context, Finding, Group } from "../group.js";
import type { Load } from "../load/load.js";
import { measureCell } from "../measure/cell.js";
import { contender, type Entrant, startEntrants, warmUp } from "../rest/entrants.js";
import { engineSubjects } from "../rest/subjects.js";
import { smallGet } from "../rest/workloads.js";
import { medianOf } from "../row.js";
import { openStage } from "../stage/stage.js";

const connections = 100;

/** How long clients wait while servers have time to spare. */
export const latencyGroup: Group = {
  name: "latency",
  method: [
    `The small GET over ${connections} connections at a steady rate: requests become due every millisecond whatever the server does,`,
    "and one that finds no connection free waits for one, which counts. First half of the most that each server itself",
    "reached in a closed loop of this run, then one rate for all: half of what the slowest reached. The most may be the",
    "load's or the upstream's. GC: pauses of JavaScript; Go's collector runs beside the program and is not in it.",
  ],
  async *run(context: Context): AsyncIterable<Finding> {
    const { quick, cpus, note } = context;
    const { site, load, upstream, close } = await openStage(context);
    try {
      const entrants = await startEntrants(site, engineSubjects, context);
      for (const entrant of entrants) await warmUp(entrant, load, [smallGet]);
      const most = await measureMost(entrants, load, quick);
      for (const [name, rate] of most) note(`${name} reached ${Math.round(rate)} requests a second`);
      const least = Math.min(...most.values());
      for (const [workload, rateOf] of [
        ["small GET, each at half of its own most", (name: string) => (most.get(name) ?? least) / 2],
        ["small GET, all at half of the slowest's most", () => least / 2],
      ] as const) {
        yield await measureCell({
          group: "latency",
          workload,
          plan: quick
            ? { pairs: 3, warmUp: 2000, milliseconds: 800, tracedRequests: 0 }
            : { pairs: 7, warmUp: 2000, milliseconds: 3000, tracedRequests: 0 },
          contenders: entrants.map(each =>
            contender(each, load, { workload: smallGet, connections, rate: rateOf(each.subject.name) }),
          ),
          upstream: upstream.child,
          spareCpu: cpus.load,
        });
      }
    } finally {
      await close();
    }
  },
};

/** Requests a second of each in a closed loop, by name: the median of rounds taken in turn. */
async function measureMost(
  entrants: readonly Entrant[],
  load: Load,
  quick: boolean,
): Promise<Map<string, number>> {
  const bounds = { requests: Number.MAX_SAFE_INTEGER, milliseconds: quick ? 400 : 2000 };
  const rates = new Map<string, number[]>(entrants.map(({ subject }) => [subject.name, []]));
  for (let round = 0; round < 3; round += 1) {
    for (const entrant of entrants) {
      const { driver } = contender(entrant, load, { workload: smallGet, connections });
      await driver.open();
      const { requests, seconds } = await driver.run(bounds);
      await driver.close();
      rates.get(entrant.subject.name)?.push(requests / seconds);
    }
  }
  return new Map([...rates].map(([name, each]) => [name, medianOf(each)]));
}
