import { smallReply, smallRequest } from "../content.js";
import type { Context, Finding, Group } from "../group.js";
import { type Contender, measureCell, type Plan } from "../measure/cell.js";
import type { Driver, Work } from "../measure/driver.js";
import type { Child } from "../process/child.js";
import { hasStrace } from "../process/strace.js";
import { encode, loadTypes } from "../protobuf.js";
import { type Site, startClient, startScript } from "../stage/servers.js";
import { openStage } from "../stage/stage.js";

const callsInFlight = [1, 10, 100];

/** Names of callers, in the order in which each pair of rounds runs, and with whom each is compared. */
const comparisons: readonly (readonly [name: string, baselines: readonly string[]])[] = [
  ["lean", ["grpc-js", "grpc-js Client", "node:http2"]],
  ["trpc", ["lean"]],
  ["grpc-js", ["grpc-js Client"]],
  ["grpc-js Client", []],
  ["node:http2", []],
];

/** The clients of gRPC and of tRPC alone. */
export const transportGroup: Group = {
  name: "transport",
  method: [
    "Unary calls of a small message, each client in a process of its own that drives itself. A request is a call.",
    "lean, grpc-js: the gateway's channel on either transport. grpc-js Client: that package used directly. node:http2:",
    "streams of one session without anything of gRPC but its framing and the status. trpc: the channel over tRPC, to",
    "an upstream of its own on Node. Measured as in group rest.",
  ],
  async *run(context: Context): AsyncIterable<Finding> {
    const { quick, cpus, note } = context;
    const { site, upstream, close } = await openStage(context);
    try {
      const clients = await startClients(site, cpus.load);
      if (!hasStrace()) note("syscalls are not measured: strace is not installed");
      for (const inFlight of callsInFlight) {
        yield await measureCell({
          group: "transport",
          workload: `unary call, ${inFlight} in flight`,
          plan: planOf(quick),
          contenders: comparisons.map(([name, baselines]): Contender => {
            const child = clients.get(name) as Child;
            return { name, baselines, child, language: "node", driver: selfDriver(child, inFlight) };
          }),
          upstream: upstream.child,
          spareCpu: cpus.load,
        });
      }
    } finally {
      await close();
    }
  },
};

function planOf(quick: boolean): Plan {
  const plan = quick
    ? { pairs: 5, warmUp: 2000, milliseconds: 300, tracedRequests: 500 }
    : { pairs: 9, warmUp: 4000, milliseconds: 1000, tracedRequests: 2000 };
  return hasStrace() ? plan : { ...plan, tracedRequests: 0 };
}

/** What a client is told of whom it calls, and what it sends and gets. */
export function callEnvironment(target: string) {
  const types = loadTypes();
  const hex = (type: string, json: object): string =>
    Buffer.from(encode(types.lookupType(`bench.v1.${type}`), json)).toString("hex");
  return {
    UPSTREAM: target,
    REQUEST: hex("GetMessageRequest", smallRequest),
    REPLY: hex("GetMessageResponse", smallReply),
  };
}

async function startClients(site: Site, trpcCpu: number | undefined): Promise<Map<string, Child>> {
  const env = callEnvironment(site.upstream);
  const clients = new Map<string, Child>();
  const trpc = await startScript({ ...site, cpu: trpcCpu }, "transport/trpc-upstream", { REPLY: env.REPLY });
  const trpcTarget = `127.0.0.1:${trpc.port}`;
  for (const [name] of comparisons) {
    const target = name === "trpc" ? { UPSTREAM: trpcTarget } : {};
    const child = await startClient(site, "transport/client", { ...env, ...target, CALLER: name });
    clients.set(name, child);
  }
  return clients;
}

/** Has a client call by itself. */
export function selfDriver(child: Child, inFlight: number): Driver {
  return {
    open: async () => undefined,
    run: async ({ milliseconds, requests }) =>
      JSON.parse(await child.ask(`run ${inFlight} ${milliseconds} ${requests}`)) as Work,
    close: async () => undefined,
  };
}
