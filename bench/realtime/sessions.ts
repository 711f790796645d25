import { spawnSync } from "node:child_process";
import type { Context, Finding, Group } from "../group.js";
import { deliveriesPerCpu, stepsPerCpu } from "../metric.js";
import { readUsage } from "../process/usage.js";
import { compare } from "../row.js";
import { type Site, siteAlone, startClient } from "../stage/servers.js";
import type { Delivered } from "./members.js";
import { centrifugo, own, type Subject, startBroker, startServer } from "./subjects.js";
import { httpMembers, transports } from "./transports.js";

/** Messages that each client has missed, and that servers keep. */
const missed = 100;
/** Of the room that two gateways share. */
const members = 1000;

/** What all clients do at once. Commands of `visitors.ts`; `prepare` is not measured. */
interface Storm {
  readonly what: string;
  readonly clients: number;
  /** What each client does so often. */
  readonly steps: number;
  prepare(subject: Subject, port: number, round: string): readonly string[];
  run(subject: Subject, port: number, round: string): string;
}

function storms(quick: boolean): readonly Storm[] {
  const clients = quick ? 400 : 1000;
  const rooms = 50;
  const fewRooms = 5;
  const opened = ({ entrant }: Subject, port: number): readonly string[] => [
    "close",
    `open ${entrant} ${port} ${clients}`,
  ];
  return [
    {
      what: `${clients} connect and leave`,
      clients,
      steps: 1,
      prepare: () => [],
      run: ({ entrant }, port) => `connect ${entrant} ${port} ${clients}`,
    },
    {
      what: `${clients} join ${rooms} rooms each, of their own`,
      clients,
      steps: rooms,
      prepare: opened,
      run: (_subject, _port, round) => `join ${rooms} own quiet-${round}`,
    },
    {
      what: `${clients} join the same ${rooms} rooms`,
      clients,
      steps: rooms,
      prepare: opened,
      run: (_subject, _port, round) => `join ${rooms} shared quiet-${round}`,
    },
    {
      what: `${clients} join the same ${fewRooms} rooms, which are notified`,
      clients,
      steps: fewRooms,
      prepare: opened,
      run: (_subject, _port, round) => `join ${fewRooms} shared noticed:${round}`,
    },
    {
      what: `${clients} recover ${missed} missed messages`,
      clients,
      steps: missed,
      prepare: ({ entrant }, port, round) => [
        "close",
        `miss ${entrant} ${port} ${clients} quiet-${round} ${missed}`,
      ],
      run: (_subject, _port, round) => `recover quiet-${round} ${missed}`,
    },
  ];
}

/** What it costs to come, to join, to catch up, and to share rooms with another gateway. */
export const sessionsGroup: Group = {
  name: "sessions",
  method: [
    "Steps of clients by the CPU time of the server: connections opened and closed, rooms joined, missed messages received.",
    "protogate: authentication, places, history, limits and metrics on. Centrifugo: its JSON protocol, no tokens,",
    `history of ${missed} messages with recovery. Notices of who joins only where it is said.`,
    `Two gateways: half of ${members} members on each, deliveries by the CPU time of both, not of the broker; Centrifugo`,
    "without history. One process: the same without a broker.",
    `Server-sent events: ${httpMembers} members of one room and a sender by WebSocket, the whole gateway on each engine, history on;`,
    "Centrifugo by uni_sse, without history.",
  ],
  async *run({ quick, base, cpus, children, note }: Context): AsyncIterable<Finding> {
    const site = siteAlone(children, cpus.server);
    const loadSite: Site = { ...site, cpu: cpus.load };
    const rivals =
      base === undefined ? centrifugo(note) : [{ ...own, name: "protogate before", checkout: base }];
    if (rivals.length > 0)
      for (const storm of storms(quick)) yield await runStorm(site, loadSite, rivals, storm, quick ? 3 : 7);
    yield* transports(site, loadSite, rivals, quick);
    for (const broker of ["redis", "nats"] as const) {
      const program = `${broker}-server`;
      if (spawnSync(program, ["--version"]).error !== undefined) note(`${program} is not installed: skipped`);
      else yield await twoGateways(site, loadSite, rivals, broker, quick ? 3 : 7, quick ? 500 : 2000);
    }
  },
};

async function runStorm(
  site: Site,
  loadSite: Site,
  rivals: readonly Subject[],
  storm: Storm,
  pairs: number,
): Promise<Finding> {
  const contenders = await Promise.all(
    [own, ...rivals].map(async subject => ({
      subject,
      server: await startServer(site, subject, { history: missed }),
      client: await startClient(loadSite, "realtime/visitors", {}),
      rates: [] as number[],
    })),
  );
  for (let round = -2; round < pairs; round++) {
    for (const { subject, server, client, rates } of contenders) {
      const tag = `round${round}`;
      for (const command of storm.prepare(subject, server.port, tag)) await client.ask(command);
      const before = readUsage(server.child.pid).cpuSeconds;
      await client.ask(storm.run(subject, server.port, tag));
      const used = readUsage(server.child.pid).cpuSeconds - before;
      // The first rounds warm up.
      if (round >= 0) rates.push((storm.clients * storm.steps) / used);
    }
  }
  await Promise.all(contenders.flatMap(({ server, client }) => [client.stop(), server.child.stop()]));
  const [first, ...others] = contenders;
  const rows = others.flatMap(({ subject, rates }) => {
    const comparison = { group: "sessions", workload: storm.what, subject: own.name, baseline: subject.name };
    return compare(comparison, stepsPerCpu, first?.rates ?? [], rates) ?? [];
  });
  return { workload: storm.what, rows, remarks: [] };
}

/** Half of the members on each of two servers that share a room, beside all of them on one. */
async function twoGateways(
  site: Site,
  loadSite: Site,
  rivals: readonly Subject[],
  kind: "redis" | "nats",
  pairs: number,
  milliseconds: number,
): Promise<Finding> {
  const workload = `${members} members on two gateways by ${kind}, 1 under way`;
  // Centrifugo keeps its channels in Redis alone.
  const sharing = [own, ...rivals.filter(({ program }) => program === undefined || kind === "redis")];
  const contenders = [
    ...sharing.map(subject => ({ name: subject.name, subject, count: 2 })),
    { name: "one process", subject: own, count: 1 },
  ];
  const running = [];
  for (const { name, subject, count } of contenders) {
    const broker = count > 1 ? await startBroker(loadSite, kind) : undefined;
    const options = broker && { broker: `${kind}://127.0.0.1:${broker.port}` };
    const servers = await Promise.all(
      Array.from({ length: count }, () => startServer(site, subject, options)),
    );
    const client = await startClient(loadSite, "realtime/members", {});
    for (const { port } of servers) await client.ask(`open ${subject.entrant} ${port} ${members / count}`);
    running.push({ name, subject, servers, broker, client, rates: [] as number[] });
  }
  for (let round = -1; round < pairs; round++) {
    for (const { subject, servers, client, rates } of running) {
      const used = (): number => servers.reduce((sum, { child }) => sum + readUsage(child.pid).cpuSeconds, 0);
      const before = used();
      const ran = await client.ask(`run ${subject.entrant} 1 ${milliseconds} 200 delivered`);
      const { deliveries } = JSON.parse(ran) as Delivered;
      // The first round warms up.
      if (round >= 0) rates.push(deliveries / (used() - before));
    }
  }
  for (const { client, servers, broker } of running)
    await Promise.all([client.stop(), ...servers.map(({ child }) => child.stop()), broker?.child.stop()]);
  const [first, ...others] = running;
  const rows = others.flatMap(({ name, rates }) => {
    const comparison = { group: "sessions", workload, subject: "protogate, two gateways", baseline: name };
    return compare(comparison, deliveriesPerCpu, first?.rates ?? [], rates) ?? [];
  });
  return { workload, rows, remarks: [] };
}
