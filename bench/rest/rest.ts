import type { Context, Finding, Group } from "../group.js";
import type { Load } from "../load/load.js";
import { hasStrace } from "../process/strace.js";
import { type Contender, measureCell, type Plan } from "./cell.js";
import { checkAnswers } from "./check.js";
import type { Site } from "./servers.js";
import { openStage } from "./stage.js";
import { type Subject, subjects } from "./subjects.js";
import { allConnections, requestBytes, workloads } from "./workloads.js";

/** The whole gateway, REST in and gRPC out, beside its rivals. */
export const restGroup: Group = {
  name: "rest",
  method: [
    "CPU: time on a CPU of all threads of the server's process, by the kernel's scheduler. Allocated bytes: Go's own",
    "count; on Node, growth of the JavaScript heap between collections, without the contents of Buffers. Peak RSS: the",
    "kernel's VmHWM of the round. Syscalls: by strace, in a run of its own. Reads and writes: /proc/PID/io.",
    "p50, p99: of a closed loop, each connection one request at a time.",
    "All servers speak to one upstream over plain HTTP/2, write no log, and were seen to give the same answers.",
  ],
  async *run(context: Context): AsyncIterable<Finding> {
    const { quick, cpus, note } = context;
    const stage = await openStage(context);
    try {
      const contenders = await startAll(stage.site, context);
      for (const contender of contenders) await warmUp(contender, stage.load);
      const strace = hasStrace();
      if (!strace) note("syscalls are not measured: strace is not installed");
      for (const workload of workloads) {
        for (const connections of quick ? workload.quickConnections : allConnections) {
          yield await measureCell(
            { group: "rest", workload, connections, plan: planOf(quick), cpus, strace },
            { ...stage, contenders },
          );
        }
      }
    } finally {
      await stage.close();
    }
  },
};

function planOf(quick: boolean): Plan {
  return quick
    ? { pairs: 3, warmUp: 100, milliseconds: 300, tracedRequests: 100 }
    : { pairs: 7, warmUp: 1000, milliseconds: 1000, tracedRequests: 1000 };
}

/** Lets V8 compile what every request runs; Go needs a fraction of the time for as many. */
async function warmUp({ server }: Contender, load: Load): Promise<void> {
  for (const workload of workloads) {
    await load.open(server.port, warmUpBounds.connections, requestBytes(workload));
    await load.run(warmUpBounds);
    await load.close();
  }
}

const warmUpBounds = { connections: 10, requests: 3000, milliseconds: 700 };

/** Every subject that can run here; those that cannot are named. */
async function startAll(site: Site, { note }: Context): Promise<Contender[]> {
  const { peers } = site;
  const contenders: Contender[] = [];
  for (const subject of subjects) {
    if (subject.go && peers.kind === "absent") {
      note(`${subject.name} is skipped: ${peers.reason}`);
      continue;
    }
    contenders.push(await startOne(site, subject));
  }
  return contenders;
}

async function startOne(site: Site, subject: Subject): Promise<Contender> {
  const server = await subject.start(site);
  await checkAnswers(subject.name, server);
  return { subject, server };
}
