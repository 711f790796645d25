import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Context, Finding, Group } from "../group.js";
import { measureCell, type Plan } from "../measure/cell.js";
import { hasStrace } from "../process/strace.js";
import { root } from "../repository.js";
import type { Certificate } from "../stage/servers.js";
import { openStage, type Stage } from "../stage/stage.js";
import { contender, type Entrant, startEntrants, warmUp } from "./entrants.js";
import { subjects, subjectsBesides, tlsSubjects } from "./subjects.js";
import { connectionCounts, smallGet, type Workload, workloads } from "./workloads.js";

/** The whole gateway, REST in and gRPC out, put together from different parts and beside its rivals. */
export const restGroup: Group = {
  name: "rest",
  method: [
    "CPU: time on a CPU of all threads of the server's process, by the kernel's scheduler. Allocated bytes: Go's own",
    "count; on Node, growth of the JavaScript heap between collections, without the contents of Buffers. GC: pauses of",
    "JavaScript. Peak RSS: the kernel's VmHWM of the round. Syscalls: by strace, in a run of its own.",
    "p50, p99: of a closed loop, each connection one request at a time. Envoy: its gRPC-JSON transcoder, one worker.",
    "All servers speak to one upstream over plain HTTP/2, write no log, and were seen to give the same answers.",
    "A quick run measures the small GET alone.",
  ],
  async *run(context: Context): AsyncIterable<Finding> {
    const { quick, base, note } = context;
    const stage = await openStage(context);
    try {
      if (!hasStrace()) note("syscalls are not measured: strace is not installed");
      const asked = quick ? [smallGet] : workloads;
      const plain = await startEntrants(
        stage.site,
        base === undefined ? subjects : subjectsBesides(base),
        context,
      );
      yield* measure(context, stage, plain, asked, connectionCounts);
      if (base !== undefined) return;
      const certificate = await makeCertificate().catch((error: Error) => {
        note(`TLS is skipped: openssl makes no certificate: ${error.message}`);
      });
      if (certificate === undefined) return;
      const encrypted = await startEntrants({ ...stage.site, certificate }, tlsSubjects, context);
      const overTls = { ...smallGet, name: "small GET over TLS 1.3" };
      yield* measure(context, stage, encrypted, [overTls], quick ? [10] : [10, 100]);
    } finally {
      await stage.close();
    }
  },
};

async function* measure(
  { quick, cpus }: Context,
  { load, upstream }: Stage,
  entrants: readonly Entrant[],
  asked: readonly Workload[],
  counts: readonly number[],
): AsyncIterable<Finding> {
  for (const entrant of entrants) await warmUp(entrant, load, asked);
  for (const workload of asked) {
    for (const connections of counts) {
      yield await measureCell({
        group: "rest",
        workload: `${workload.name}, ${connections} connection${connections === 1 ? "" : "s"}`,
        plan: planOf(quick, workload),
        contenders: entrants.map(each => contender(each, load, { workload, connections })),
        upstream: upstream.child,
        spareCpu: cpus.load,
      });
    }
  }
}

function planOf(quick: boolean, { batch: warmUp }: Workload): Plan {
  const plan = quick
    ? { pairs: 3, warmUp, milliseconds: 300, tracedRequests: 500 }
    : { pairs: 7, warmUp, milliseconds: 1000, tracedRequests: 2000 };
  return hasStrace() ? plan : { ...plan, tracedRequests: 0 };
}

/** A certificate for localhost, ECDSA P-256, that nobody has to trust. @throws Error where there is no openssl */
async function makeCertificate(): Promise<Certificate> {
  const folder = join(root, "node_modules/.cache/protogate-bench/tls");
  mkdirSync(folder, { recursive: true });
  const files = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const out = ["-keyout", files.key, "-out", files.cert];
  await promisify(execFile)("openssl", ["req", "-x509", ...kind, ...names, ...out]);
  return files;
}
