import { join } from "node:path";
import type { Finding } from "../group.js";
import { deliveriesPerCpu } from "../metric.js";
import { readUsage } from "../process/usage.js";
import { root } from "../repository.js";
import { compare } from "../row.js";
import { buildGateway } from "../stage/build.js";
import { type Parts, type Server, type Site, startClient, startGateway } from "../stage/servers.js";
import type { HttpTransport } from "./http-member.js";
import type { Delivered } from "./members.js";
import { own, type Subject, startServer } from "./subjects.js";

type EngineName = Parts["engine"];

/** Of the room, beside the sender. */
export const httpMembers = 500;
/** Bytes of a message in a frame. */
const size = 200;

interface Contender {
  readonly name: string;
  readonly subject: Subject;
  readonly transport: HttpTransport | "websocket";
}

/** Fan-out to members without a WebSocket, by the gateway itself; the sender has one. */
export async function* transports(
  site: Site,
  loadSite: Site,
  rivals: readonly Subject[],
  quick: boolean,
): AsyncIterable<Finding> {
  await buildGateway();
  for (const engine of ["uws", "fastify"] as const)
    yield* transportsOn(engine, site, loadSite, rivals, quick);
}

async function* transportsOn(
  engine: EngineName,
  site: Site,
  loadSite: Site,
  rivals: readonly Subject[],
  quick: boolean,
): AsyncIterable<Finding> {
  const contenders: readonly Contender[] = [
    { name: "protogate, SSE", subject: own, transport: "sse" },
    ...rivals.map((subject): Contender => {
      const transport = subject.program === undefined ? "sse" : "uni_sse";
      return { name: `${subject.name}, ${transport}`, subject, transport };
    }),
    { name: "protogate, WebSocket", subject: own, transport: "websocket" },
    { name: "protogate, long polling", subject: own, transport: "poll" },
  ];
  const running = [];
  for (const { name, subject, transport } of contenders) {
    const server = await start(site, subject, engine);
    const client = await startClient(loadSite, "realtime/members", {});
    await client.ask(`open ${subject.entrant} ${server.port} 1 websocket`);
    await client.ask(`open ${subject.entrant} ${server.port} ${httpMembers} ${transport}`);
    running.push({ name, subject, server, client });
  }
  for (const window of [1, 16]) {
    const workload = `${httpMembers} members by server-sent events, ${engine}, ${window} under way`;
    const rates = running.map((): number[] => []);
    let loadShare = 0;
    for (let round = -1; round < (quick ? 3 : 7); round++) {
      for (const [index, { subject, server, client }] of running.entries()) {
        const before = readUsage(server.child.pid).cpuSeconds;
        const ran = await client.ask(
          `run ${subject.entrant} ${window} ${quick ? 500 : 2000} ${size} delivered`,
        );
        const { deliveries, cpuSeconds, seconds } = JSON.parse(ran) as Delivered;
        const used = readUsage(server.child.pid).cpuSeconds - before;
        // The first round warms up.
        if (round < 0) continue;
        rates[index]?.push(deliveries / used);
        loadShare = Math.max(loadShare, cpuSeconds / seconds);
      }
    }
    const [first, ...others] = running;
    const rows = others.flatMap(({ name }, index) => {
      const comparison = { group: "sessions", workload, subject: first?.name ?? "", baseline: name };
      return compare(comparison, deliveriesPerCpu, rates[0] ?? [], rates[index + 1] ?? []) ?? [];
    });
    yield {
      workload,
      rows,
      remarks: [`members used ${(loadShare * 100).toFixed(0)} % of their CPU at most`],
    };
  }
  await Promise.all(running.flatMap(({ client, server }) => [client.stop(), server.child.stop()]));
}

function start(site: Site, subject: Subject, engine: EngineName): Promise<Server> {
  if (subject.program !== undefined) return startServer(site, subject);
  const config = join(root, "bench/realtime/gateway.yaml");
  const { checkout = root } = subject;
  return startGateway(site, { engine, transport: "lean" }, { config, checkout });
}
