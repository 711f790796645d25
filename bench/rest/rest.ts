import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Context, Finding, Group } from "../group.js";
import { Load } from "../load/load.js";
import { hasStrace } from "../process/strace.js";
import { buildGateway } from "./build.js";
import { type Contender, measureCell, type Plan } from "./cell.js";
import { checkAnswers } from "./check.js";
import { buildGoPeers } from "./go-peers.js";
import { writeReplies } from "./replies.js";
import { type Server, type Site, startPeer, startScript } from "./servers.js";
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
    context.note("building the gateway and the peers");
    const [peers] = await Promise.all([buildGoPeers(), buildGateway()]);
    const folder = await mkdtemp(join(tmpdir(), "protogate-bench-"));
    const { children, cpus, note } = context;
    const load = new Load(cpus.load);
    try {
      writeReplies(folder);
      const upstream = await startUpstream({ children, cpu: cpus.load, upstream: "", peers }, folder);
      const site = { children, cpu: cpus.server, upstream: `127.0.0.1:${upstream.port}`, peers };
      const contenders = await startAll(site, context);
      for (const contender of contenders) await warmUp(contender, load);
      const strace = hasStrace();
      if (!strace) note("syscalls are not measured: strace is not installed");
      for (const workload of workloads) {
        for (const connections of context.quick ? workload.quickConnections : allConnections) {
          yield await measureCell(
            { group: "rest", workload, connections, plan: planOf(context.quick), cpus, strace },
            { load, upstream, contenders },
          );
        }
      }
    } finally {
      await load.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

function planOf(quick: boolean): Plan {
  return quick
    ? { pairs: 3, warmUp: 100, milliseconds: 250, tracedRequests: 100 }
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

const warmUpBounds = { connections: 10, requests: 3000, milliseconds: 2000 };

function startUpstream(site: Site, replies: string): Promise<Server> {
  return site.peers.kind === "built"
    ? startPeer(site, "upstream", ["-replies", replies])
    : startScript(site, "rest/upstream", { REPLIES: replies });
}

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
