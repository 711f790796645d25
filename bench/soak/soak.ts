import type { Context, Finding, Group } from "../group.js";
import { heapMemory, type Metric, residentBytes, sockets } from "../metric.js";
import { openSockets, residentMemory } from "../process/usage.js";
import { fastest } from "../rest/subjects.js";
import { requestBytes, smallGet } from "../rest/workloads.js";
import { compare, type Row } from "../row.js";
import { gatewayName, type Server, startGateway } from "../stage/servers.js";
import { openStage, type Stage } from "../stage/stage.js";
import { slope } from "./trend.js";

const connections = 50;
/** Of the whole run, milliseconds. */
const patience = 15 * 60_000;
/** Samples before which V8 still compiles and caches still fill. */
const cold = 4;
/** How many samples at either end are compared. */
const compared = 5;

interface Sample {
  readonly requests: number;
  readonly heap: number;
  readonly rss: number;
  readonly sockets: number;
}

const measures: readonly { readonly metric: Metric; readonly of: (sample: Sample) => number }[] = [
  { metric: heapMemory, of: sample => sample.heap },
  { metric: residentBytes, of: sample => sample.rss },
  { metric: sockets, of: sample => sample.sockets },
];

/** Whether the gateway grows with the requests that it has answered. */
export const soakGroup: Group = {
  name: "soak",
  onRequest: true,
  method: [
    `1,000,000 small GETs (a quick run: 100,000) over ${connections} connections that are opened anew for each of 20 samples. Open`,
    "sockets, those of the connections included, and RSS: /proc/PID. Heap: what is in use after a collection that the",
    `sample forces. The trend is the least squares' slope without the first ${cold} samples. Ends after 15 minutes.`,
  ],
  async *run(context: Context): AsyncIterable<Finding> {
    const stage = await openStage(context);
    try {
      const server = await startGateway(stage.site, fastest);
      const requests = context.quick ? 100_000 : 1_000_000;
      yield await soak(context, stage, server, requests);
    } finally {
      await stage.close();
    }
  },
};

async function soak(
  { note }: Context,
  { load }: Stage,
  { child, port }: Server,
  total: number,
): Promise<Finding> {
  const step = total / 20;
  const ends = performance.now() + patience;
  const samples: Sample[] = [];
  let done = 0;
  while (done < total && performance.now() < ends) {
    await load.open({ port, connections }, requestBytes(smallGet));
    const milliseconds = Math.min(60_000, ends - performance.now());
    done += (await load.run({ requests: Math.min(step, total - done), milliseconds })).requests;
    const sample = {
      requests: done,
      rss: residentMemory(child.pid),
      sockets: openSockets(child.pid),
      heap: await child.heapInUse(),
    };
    await load.close();
    samples.push(sample);
    note(describe(sample));
  }
  const workload = `${gatewayName(fastest)}: ${done.toLocaleString("en")} small GETs`;
  const stopped =
    done < total
      ? [`stopped after 15 minutes, before ${total.toLocaleString("en")} requests were answered`]
      : [];
  return { workload, rows: rowsOf(workload, samples), remarks: [...trends(samples), ...stopped] };
}

function describe({ requests, heap, rss, sockets: open }: Sample): string {
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(2)} MiB`;
  return `${requests.toLocaleString("en")} requests: heap ${mebibytes(heap)}, RSS ${mebibytes(rss)}, ${open} sockets`;
}

function rowsOf(workload: string, samples: readonly Sample[]): Row[] {
  const first = samples.slice(cold, cold + compared);
  const last = samples.slice(-compared);
  const comparison = { group: "soak", workload, subject: "last 5 samples", baseline: "first 5 when warm" };
  return measures
    .map(({ metric, of }) => compare(comparison, metric, last.map(of), first.map(of)))
    .filter(row => row !== undefined);
}

function trends(samples: readonly Sample[]): string[] {
  const warm = samples.slice(cold);
  return measures.map(({ metric, of }) => {
    const grown = slope(warm.map(sample => ({ at: sample.requests, value: of(sample) })));
    return `trend of ${metric.label}: ${(grown * 1000).toFixed(3)} for each 1,000 requests`;
  });
}
