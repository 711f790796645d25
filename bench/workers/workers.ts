import { join } from "node:path";
import type { Context, Finding, Group } from "../group.js";
import { type Contender, measureCell, type Plan } from "../measure/cell.js";
import { httpDriver } from "../measure/driver.js";
import { settle } from "../measure/settle.js";
import { deliveriesPerCpu, deliveriesPerSecond, median, requestCpu, tail, throughput } from "../metric.js";
import type { Child } from "../process/child.js";
import { familyOf, openSockets, readUsage } from "../process/usage.js";
import type { Delivered } from "../realtime/members.js";
import { root } from "../repository.js";
import { requestBytes, smallGet } from "../rest/workloads.js";
import { compare } from "../row.js";
import { type Parts, startClient, startGateway, startTwoGateways } from "../stage/servers.js";
import { openStage, type Stage } from "../stage/stage.js";

const engines: readonly Parts["engine"][] = ["uws", "fastify"];
const connectionCounts: readonly number[] = [100, 10];
const members = 1000;
const windows: readonly number[] = [16, 1];
/** Bytes of a message as members get it. */
const size = 200;
/** Requests of a batch, until V8 has compiled what two workers run. */
const warmUpBatch = 8_000;
const config = join(root, "bench/stage/gateway-workers.yaml");

interface Subject {
  readonly name: string;
  readonly baselines: readonly string[];
  /** Of each gateway. */
  readonly workers: number;
  readonly gateways: number;
  readonly watch: boolean;
}

const one: Subject = { name: "one process", baselines: [], workers: 1, gateways: 1, watch: false };
const apart: Subject = { name: "two gateways apart", baselines: [], workers: 1, gateways: 2, watch: false };
const two: Subject = {
  name: "two workers",
  baselines: [apart.name, one.name],
  workers: 2,
  gateways: 1,
  watch: false,
};
const watching: Subject = {
  name: "one process that watches files",
  baselines: [one.name],
  workers: 1,
  gateways: 1,
  watch: true,
};
/** Metrics that are of all processes of a gateway. */
const whole: ReadonlySet<string> = new Set([requestCpu, throughput, median, tail].map(({ name }) => name));

/** What several workers cost beside one process. */
export const workersGroup: Group = {
  name: "workers",
  method: [
    "A gateway of two workers and one of one process in turn, all on one CPU: CPU time is that of primary and workers. Two",
    "gateways apart share nothing but that CPU, and each has half of the connections: the ratio to them is what workers cost,",
    "the ratio to one process also what it costs that two processes take turns on a CPU, and that each wake-up serves half as",
    "many connections. The small GET goes upstream. Connections: how many each worker has. Fan-out: one room of",
    `${members} members, the sender among them, by the HTTP listener; with two workers about half of the members are on each,`,
    "and of the two gateways each has a room of half as many. Watching files is measured in the same way.",
  ],
  async *run(context: Context): AsyncIterable<Finding> {
    const { quick } = context;
    const stage = await openStage(context);
    try {
      for (const engine of engines) {
        const start = async (subject: Subject): Promise<Entrant> => enter(stage, engine, subject);
        const entrants = [await start(two), await start(watching), await start(apart), await start(one)];
        for (const connections of quick ? connectionCounts.slice(0, 1) : connectionCounts)
          yield await requests(context, stage, engine, entrants, connections);
        for (const window of quick ? windows.slice(0, 1) : windows)
          yield await fanOut(context, stage, engine, entrants, window);
        await Promise.all(entrants.map(({ child }) => child.stop()));
      }
    } finally {
      await stage.close();
    }
  },
};

interface Entrant {
  readonly subject: Subject;
  readonly child: Child;
  readonly ports: readonly number[];
}

async function enter({ site, load }: Stage, engine: Parts["engine"], subject: Subject): Promise<Entrant> {
  const parts: Parts = { engine, transport: "lean" };
  const env = { WORKERS: String(subject.workers), WATCH: String(subject.watch) };
  const { child, ports } = await start(site, parts, subject, env);
  const driver = httpDriver(load, { port: ports, connections: 20, request: requestBytes(smallGet) });
  await driver.open();
  await settle({ child, driver }, warmUpBatch);
  await driver.close();
  return { subject, child, ports };
}

async function start(
  site: Stage["site"],
  parts: Parts,
  { gateways }: Subject,
  env: Readonly<Record<string, string>>,
): Promise<Omit<Entrant, "subject">> {
  if (gateways > 1) return startTwoGateways(site, parts, config, env);
  const { child, port } = await startGateway(site, parts, { config, env, unprobed: true });
  return { child, ports: [port] };
}

async function requests(
  { quick, cpus }: Context,
  { load, upstream }: Stage,
  engine: Parts["engine"],
  entrants: readonly Entrant[],
  connections: number,
): Promise<Finding> {
  const request = requestBytes(smallGet);
  const balance: string[] = [];
  const contenders = entrants.map(({ subject, child, ports }): Contender => {
    const driver = httpDriver(load, { port: ports, connections, request });
    const open = async (): Promise<void> => {
      const [, ...workers] = familyOf(child.pid);
      const before = workers.map(openSockets);
      await driver.open();
      await driver.run({ requests: 4 * connections, milliseconds: 1000 });
      if (subject === two)
        balance.push(workers.map((pid, index) => openSockets(pid) - (before[index] ?? 0)).join("+"));
    };
    // Memory is that of a process alone.
    return { ...subject, child, language: "c++", driver: { ...driver, open } };
  });
  const finding = await measureCell({
    group: "workers",
    workload: `small GET, engine ${engine}, ${connections} connections`,
    plan: quick ? quickPlan : plan,
    contenders,
    upstream: upstream.child,
    spareCpu: cpus.load,
  });
  const rows = finding.rows.filter(({ metric }) => whole.has(metric));
  return {
    ...finding,
    rows,
    remarks: [`connections of each worker: ${balance.join(", ")}`, ...finding.remarks],
  };
}

async function fanOut(
  { quick, cpus }: Context,
  { site }: Stage,
  engine: Parts["engine"],
  entrants: readonly Entrant[],
  window: number,
): Promise<Finding> {
  const workload = `engine ${engine}, ${members} members, ${window} under way, ${size} bytes delivered`;
  const rooms = entrants.filter(({ subject }) => !subject.watch);
  const loadSite = { ...site, cpu: cpus.load };
  const found = new Map<string, { readonly perCpu: number[]; readonly perSecond: number[] }>();
  const clients = new Map<string, Child[]>();
  const balance: string[] = [];
  for (const { subject, child, ports } of rooms) {
    const own: Child[] = [];
    const [, ...workers] = familyOf(child.pid);
    const before = workers.map(openSockets);
    for (const port of ports) {
      const client = await startClient(loadSite, "realtime/members", {});
      await client.ask(`open protogate ${port} ${members / ports.length}`);
      own.push(client);
    }
    if (subject === two)
      balance.push(workers.map((pid, index) => openSockets(pid) - (before[index] ?? 0)).join("+"));
    clients.set(subject.name, own);
    found.set(subject.name, { perCpu: [], perSecond: [] });
  }
  const order = `run protogate ${window} ${quick ? 700 : 2000} ${size} delivered`;
  for (let round = -2; round < (quick ? 5 : 9); round++) {
    for (const { subject, child } of rooms) {
      const before = readUsage(child.pid).cpuSeconds;
      const ran = await Promise.all((clients.get(subject.name) ?? []).map(client => client.ask(order)));
      const used = readUsage(child.pid).cpuSeconds - before;
      const all = ran.map(text => JSON.parse(text) as Delivered);
      const deliveries = all.reduce((sum, delivered) => sum + delivered.deliveries, 0);
      const seconds = Math.max(...all.map(delivered => delivered.seconds));
      // The first rounds warm up.
      if (round < 0) continue;
      found.get(subject.name)?.perCpu.push(deliveries / used);
      found.get(subject.name)?.perSecond.push(deliveries / seconds);
    }
  }
  await Promise.all([...clients.values()].flat().map(client => client.stop()));
  const rows = two.baselines
    .flatMap(baseline => {
      const comparison = { group: "workers", workload, subject: two.name, baseline };
      const own = found.get(two.name);
      const other = found.get(baseline);
      return [
        compare(comparison, deliveriesPerCpu, own?.perCpu ?? [], other?.perCpu ?? []),
        compare(comparison, deliveriesPerSecond, own?.perSecond ?? [], other?.perSecond ?? []),
      ];
    })
    .filter(row => row !== undefined);
  return { workload, rows, remarks: [`members of each worker: ${balance.join(", ")}`] };
}

const quickPlan: Plan = { pairs: 7, warmUp: 100, milliseconds: 300, tracedRequests: 0 };
const plan: Plan = { pairs: 15, warmUp: 500, milliseconds: 1000, tracedRequests: 0 };
