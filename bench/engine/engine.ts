import type { Context, Finding, Group } from "../group.js";
import { type Contender, measureCell, type Plan } from "../measure/cell.js";
import { httpDriver } from "../measure/driver.js";
import { hasStrace } from "../process/strace.js";
import { connectionCounts, requestBytes, smallGet } from "../rest/workloads.js";
import { type Server, type Site, startGateway, startScript } from "../stage/servers.js";
import { openStage, type Stage } from "../stage/stage.js";

type EngineName = "uws" | "fastify";

const engines: readonly EngineName[] = ["uws", "fastify"];

/** What surrounds an engine that is measured. */
const settings: readonly {
  readonly workload: string;
  start(site: Site, engine: EngineName): Promise<Server>;
}[] = [
  { workload: "HTTP alone", start: (site, engine) => startScript(site, "engine/bare", { ENGINE: engine }) },
  {
    workload: "small GET, upstream in memory",
    start: (site, engine) =>
      startGateway(
        site,
        { engine, transport: "lean" },
        { preloaded: ["engine/memory-upstream"], asModules: true },
      ),
  },
];

/** The engines beside each other, without what is the same behind both. */
export const engineGroup: Group = {
  name: "engine",
  method: [
    "HTTP alone: an engine that answers each request at once by a prepared reply. Upstream in memory: the whole gateway",
    "with the bench's binding, but calls are answered within the process. Group rest has both with a real upstream.",
  ],
  async *run(context: Context): AsyncIterable<Finding> {
    const stage = await openStage(context);
    try {
      for (const { workload, start } of settings) yield* measure(context, stage, workload, start);
    } finally {
      await stage.close();
    }
  },
};

async function* measure(
  { quick, cpus }: Context,
  { site, load, upstream }: Stage,
  workload: string,
  start: (site: Site, engine: EngineName) => Promise<Server>,
): AsyncIterable<Finding> {
  const servers: [EngineName, Server][] = [];
  for (const engine of engines) servers.push([engine, await start(site, engine)]);
  const request = requestBytes(smallGet);
  const driver = ({ port }: Server, connections: number) => httpDriver(load, { port, connections, request });
  for (const connections of connectionCounts) {
    yield await measureCell({
      group: "engine",
      workload: `${workload}, ${connections} connection${connections === 1 ? "" : "s"}`,
      plan: planOf(quick),
      contenders: servers.map(
        ([name, server]): Contender => ({
          name,
          baselines: name === "uws" ? ["fastify"] : [],
          child: server.child,
          language: "node",
          driver: driver(server, connections),
        }),
      ),
      upstream: upstream.child,
      spareCpu: cpus.load,
    });
  }
  for (const [, { child }] of servers) await child.stop();
}

function planOf(quick: boolean): Plan {
  const plan = quick
    ? { pairs: 5, warmUp: 2000, milliseconds: 300, tracedRequests: 500 }
    : { pairs: 9, warmUp: 4000, milliseconds: 1000, tracedRequests: 2000 };
  return hasStrace() ? plan : { ...plan, tracedRequests: 0 };
}
