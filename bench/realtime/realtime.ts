import type { RealtimeCounts } from "../../src/realtime/metrics.js";
import type { Context, Finding, Group } from "../group.js";
import { deliveriesPerCpu, idleConnection, median, tail } from "../metric.js";
import { readUsage, residentMemory } from "../process/usage.js";
import { compare, medianOf, type Row } from "../row.js";
import { type Server, type Site, siteAlone, startClient, startScript } from "../stage/servers.js";
import type { Delays, Delivered } from "./members.js";
import { centrifugo, own, type Subject, startServer } from "./subjects.js";

const members = 1000;
/** Bytes of a message: of what its sender says, or of what members get, place and all. */
const size = 200;

interface Load {
  /** Messages under way; at 1 every delivery is a write of its own. */
  readonly window: number;
  readonly what: "sent" | "delivered";
}

const loads: readonly Load[] = [
  { window: 1, what: "delivered" },
  { window: 16, what: "delivered" },
  { window: 16, what: "sent" },
];
/** Of 1,000 members, those who do not read. */
const slow = 200;
/** Milliseconds in which what they do not read passes all buffers, and the server's limit. */
const untilTooSlow = 14_000;

const bare: Subject = { name: "bare uWS publish", entrant: "uws" };
const rivals: readonly Subject[] = [
  bare,
  { name: "Socket.IO (ws)", entrant: "socket.io" },
  { name: "ws loop", entrant: "ws" },
];

/** Collects garbage where that can be asked for. */
async function settled({ child }: Server, { program }: Subject): Promise<void> {
  if (program === undefined) await child.heapInUse();
}

/** Fan-out, and what a connection costs that does nothing. */
export const realtimeGroup: Group = {
  name: "realtime",
  method: [
    `One room of ${members} members, the sender among them; messages of ${size} bytes, as members get them or as they are sent:`,
    "protogate delivers about 145 bytes more than the text. Deliveries per CPU second: what all have got, by the CPU time of",
    "the server; one write for each at 1 under way. protogate: authentication, places, history, limits and metrics on.",
    "Slow readers: how long messages take to the 800 others while 200 stop reading, and while they take in the same.",
    "bare uWS publish: passes on the bytes that it got. Socket.IO: rooms on its ws engine. ws loop: send to each of a set.",
    "Centrifugo: its JSON protocol, no tokens, no history; it may put several messages into one frame.",
  ],
  async *run({ quick, base, cpus, children, note }: Context): AsyncIterable<Finding> {
    const site = siteAlone(children, cpus.server);
    const loadSite: Site = { ...site, cpu: cpus.load };
    const before: Subject = { name: "protogate before", entrant: "protogate", checkout: base };
    const others = base === undefined ? [...rivals, ...centrifugo(note)] : [before, bare];
    for (const load of loads) {
      yield await fanOut(site, loadSite, others, load, quick ? 3 : 9, quick ? 500 : 2000);
    }
    for (const policy of quick ? (["drop"] as const) : (["drop", "close"] as const)) {
      note(`slow readers, policy ${policy}`);
      yield await slowReaders(site, loadSite, policy, quick ? 1 : 5);
    }
    note("idle connections");
    yield await idle(site, loadSite, others, quick ? 1000 : 5000, quick ? 1 : 3);
  },
};

interface Contender {
  readonly subject: Subject;
  readonly server: Server;
  readonly client: Awaited<ReturnType<typeof startClient>>;
}

async function start(site: Site, loadSite: Site, subject: Subject, count: number): Promise<Contender> {
  const { entrant } = subject;
  const server = await startServer(site, subject);
  const client = await startClient(loadSite, "realtime/members", {});
  const contender = { subject, server, client };
  await client.ask(`open ${entrant} ${server.port} ${count}`);
  return contender;
}

async function stop({ server, client }: Contender): Promise<void> {
  await Promise.all([client.stop(), server.child.stop()]);
}

async function fanOut(
  site: Site,
  loadSite: Site,
  others: readonly Subject[],
  { window, what }: Load,
  pairs: number,
  milliseconds: number,
): Promise<Finding> {
  const workload = `${members} members, ${window} under way, ${size} bytes ${what}`;
  const contenders: Contender[] = [];
  for (const subject of [own, ...others]) {
    contenders.push(await start(site, loadSite, subject, members));
  }
  const rates = new Map<Subject, number[]>(contenders.map(({ subject }) => [subject, []]));
  let loadShare = 0;
  for (let round = -1; round < pairs; round++) {
    for (const { subject, server, client } of contenders) {
      const before = readUsage(server.child.pid);
      const ran = await client.ask(`run ${subject.entrant} ${window} ${milliseconds} ${size} ${what}`);
      const { deliveries, cpuSeconds, seconds } = JSON.parse(ran) as Delivered;
      const used = readUsage(server.child.pid).cpuSeconds - before.cpuSeconds;
      // The first round warms up.
      if (round < 0) continue;
      rates.get(subject)?.push(deliveries / used);
      loadShare = Math.max(loadShare, cpuSeconds / seconds);
    }
  }
  await Promise.all(contenders.map(stop));
  const rows = others.flatMap(other => {
    const comparison = { group: "realtime", workload, subject: own.name, baseline: other.name };
    return compare(comparison, deliveriesPerCpu, rates.get(own) ?? [], rates.get(other) ?? []) ?? [];
  });
  return { workload, rows, remarks: [`members used ${(loadShare * 100).toFixed(0)} % of their CPU at most`] };
}

/** What those who do not read cost the others, in rounds that take turns with rounds in which all read. */
async function slowReaders(
  site: Site,
  loadSite: Site,
  policy: "drop" | "close",
  pairs: number,
): Promise<Finding> {
  const workload = `${slow} of ${members} members do not read, policy ${policy}`;
  const server = await startScript(site, "realtime/server", { ENTRANT: "protogate", POLICY: policy });
  const client = await startClient(loadSite, "realtime/members", {});
  await client.ask(`open protogate ${server.port} ${members - slow}`);
  const found: Readonly<Record<"stop" | "read", Delays[]>> = { stop: [], read: [] };
  let behind = 0;
  for (let round = 0; round < pairs; round++) {
    for (const how of ["stop", "read"] as const) {
      found[how].push(JSON.parse(await client.ask(`delays ${server.port} ${slow} ${how} ${untilTooSlow}`)));
      const { lagging, members: left } = JSON.parse(await server.child.ask("census")) as RealtimeCounts;
      // Of 800 members of one room, and of 200 and who speaks to them, who are in two.
      if (how === "stop") behind = Math.max(behind, lagging, (members + slow + 2 - left) / 2);
      await client.ask("dismiss");
    }
  }
  await Promise.all([client.stop(), server.child.stop()]);
  const comparison = { group: "realtime", workload, subject: "200 do not read", baseline: "all read" };
  const rows = [
    compare(
      comparison,
      median,
      found.stop.map(each => each.p50_us),
      found.read.map(each => each.p50_us),
    ),
    compare(
      comparison,
      tail,
      found.stop.map(each => each.p99_us),
      found.read.map(each => each.p99_us),
    ),
  ];
  return {
    workload,
    rows: rows.filter(row => row !== undefined),
    remarks: [`${behind} were found to be behind`],
  };
}

/** What the server's resident memory grows by for each connection of one that is in one room and says nothing. */
async function idle(
  site: Site,
  loadSite: Site,
  others: readonly Subject[],
  connections: number,
  rounds: number,
): Promise<Finding> {
  const workload = `${connections} idle connections, authenticated, in one room`;
  const costs = new Map<Subject, number[]>();
  for (let round = 0; round < rounds; round++) {
    for (const subject of [own, ...others]) {
      const { entrant } = subject;
      const server = await startServer(site, subject);
      const client = await startClient(loadSite, "realtime/members", {});
      // What the first connections cost is the program's, not theirs.
      await client.ask(`open ${entrant} ${server.port} 100`);
      await settled(server, subject);
      const before = residentMemory(server.child.pid);
      for (let open = 0; open < connections; open += 500)
        await client.ask(`open ${entrant} ${server.port} ${Math.min(500, connections - open)}`);
      await settled(server, subject);
      const cost = (residentMemory(server.child.pid) - before) / connections;
      costs.set(subject, [...(costs.get(subject) ?? []), cost]);
      await stop({ subject, server, client });
    }
  }
  const rows: Row[] = others.flatMap(other => {
    const comparison = { group: "realtime", workload, subject: own.name, baseline: other.name };
    return compare(comparison, idleConnection, costs.get(own) ?? [], costs.get(other) ?? []) ?? [];
  });
  const above = medianOf(costs.get(own) ?? [0]) - medianOf(costs.get(bare) ?? [0]);
  return {
    workload,
    rows,
    remarks: [`${(above / 1024).toFixed(1)} KiB a connection above the bare uWS server`],
  };
}
