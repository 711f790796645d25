import type { Context, Finding, Group } from "../group.js";
import { measureCell, type Plan } from "../measure/cell.js";
import { hasStrace } from "../process/strace.js";
import { openStage } from "../stage/stage.js";
import { contender, startEntrants, warmUp } from "./entrants.js";
import { subjects, subjectsBesides } from "./subjects.js";
import { connectionCounts, smallGet, workloads } from "./workloads.js";

/** The whole gateway, REST in and gRPC out, put together from different parts and beside its rivals. */
export const restGroup: Group = {
  name: "rest",
  method: [
    "CPU: time on a CPU of all threads of the server's process, by the kernel's scheduler. Allocated bytes: Go's own",
    "count; on Node, growth of the JavaScript heap between collections, without the contents of Buffers. GC: pauses of",
    "JavaScript. Peak RSS: the kernel's VmHWM of the round. Syscalls: by strace, in a run of its own.",
    "p50, p99: of a closed loop, each connection one request at a time.",
    "All servers speak to one upstream over plain HTTP/2, write no log, and were seen to give the same answers.",
    "A quick run measures the small GET alone.",
  ],
  async *run(context: Context): AsyncIterable<Finding> {
    const { quick, base, cpus, note } = context;
    const { site, load, upstream, close } = await openStage(context);
    try {
      const asked = quick ? [smallGet] : workloads;
      const entrants = await startEntrants(
        site,
        base === undefined ? subjects : subjectsBesides(base),
        context,
      );
      for (const entrant of entrants) await warmUp(entrant, load, asked);
      if (!hasStrace()) note("syscalls are not measured: strace is not installed");
      for (const workload of asked) {
        for (const connections of connectionCounts) {
          yield await measureCell({
            group: "rest",
            workload: `${workload.name}, ${connections} connection${connections === 1 ? "" : "s"}`,
            plan: planOf(quick),
            contenders: entrants.map(each => contender(each, load, { workload, connections })),
            upstream: upstream.child,
            spareCpu: cpus.load,
          });
        }
      }
    } finally {
      await close();
    }
  },
};

function planOf(quick: boolean): Plan {
  const plan = quick
    ? { pairs: 3, warmUp: 100, milliseconds: 300, tracedRequests: 500 }
    : { pairs: 7, warmUp: 1000, milliseconds: 1000, tracedRequests: 2000 };
  return hasStrace() ? plan : { ...plan, tracedRequests: 0 };
}
