import { readFileSync } from "node:fs";
import type { Context, Finding, Group } from "../group.js";
import type { Child } from "../process/child.js";
import { readUsage, residentMemory } from "../process/usage.js";
import { freePort, type Server, type Site, siteAlone, startClient, startScript } from "../stage/servers.js";
import { startBroker } from "./subjects.js";

/** Descriptors that a process has beside its sockets. */
const spare = 500;

/** As many sockets as a process may have here, and as many as one address can have to one port. */
function mostSockets(): number {
  const [, hard = "1024"] =
    /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  return Math.min(19_500, Number(hard) - spare);
}

/** How long storms of as many sockets as a process may have take, and what they cost. */
export const scaleGroup: Group = {
  name: "scale",
  onRequest: true,
  method: [
    "As many sockets as the descriptors of a process allow, 19,500 at most, each authenticated and in a room: all in one, or",
    "two in each. They connect and join, 200 at a time; one says something; the servers are killed and started again, and all",
    "come back as the project's client does, with a random wait of up to 500 ms that doubles with each failure. `stall` is the",
    "longest that an event loop of the servers stood still meanwhile. Three processes share their rooms by Redis.",
  ],
  async *run({ quick, cpus, children, note }: Context): AsyncIterable<Finding> {
    const site = siteAlone(children, cpus.server);
    const sockets = quick ? 4000 : mostSockets();
    for (const processes of [1, 3])
      for (const rooms of [1, Math.ceil(sockets / 2)]) {
        note(`${sockets} sockets, rooms ${rooms}, processes ${processes}`);
        yield await storms(site, { ...site, cpu: cpus.load }, sockets, rooms, processes);
      }
  },
};

interface Watched {
  readonly seconds: string;
  readonly cpu: number;
  readonly stall: number;
}

async function watched(servers: readonly Child[], client: Child, command: string): Promise<Watched> {
  for (const server of servers) await server.ask("stall");
  const used = (): number => servers.reduce((sum, { pid }) => sum + readUsage(pid).cpuSeconds, 0);
  const before = used();
  const seconds = await client.ask(command, 300_000);
  const stalls = await Promise.all(servers.map(server => server.ask("stall")));
  return { seconds, cpu: used() - before, stall: Math.max(...stalls.map(Number)) };
}

async function storms(
  site: Site,
  loadSite: Site,
  sockets: number,
  rooms: number,
  processes: number,
): Promise<Finding> {
  const broker = processes > 1 ? await startBroker(loadSite, "redis") : undefined;
  const env = broker === undefined ? {} : { BROKER: `redis://127.0.0.1:${broker.port}` };
  const start = (port: number): Promise<Server> =>
    startScript(site, "realtime/server", { ENTRANT: "protogate", PORT: String(port), ...env });
  // uWebSockets.js lets a port be used again after its process only where it was asked for.
  const ports = await Promise.all(Array.from({ length: processes }, freePort));
  let servers = await Promise.all(ports.map(start));
  const client = await startClient(loadSite, "realtime/crowd", {});
  const empty = servers.reduce((sum, { child }) => sum + residentMemory(child.pid), 0);
  await client.ask(`fill ${sockets} ${rooms} ${ports.join(" ")}`);
  const of = (): Child[] => servers.map(({ child }) => child);
  const joined = await watched(of(), client, "join");
  const memory = servers.reduce((sum, { child }) => sum + residentMemory(child.pid), 0) - empty;
  const said = await watched(of(), client, "say");
  await Promise.all(of().map(child => child.stop()));
  servers = await Promise.all(ports.map(start));
  const back = await watched(of(), client, "storm");
  await Promise.all([client.stop(), ...of().map(child => child.stop()), broker?.child.stop()]);
  const remark = (what: string, { seconds, cpu, stall }: Watched): string =>
    `${what}: ${seconds} s, CPU ${cpu.toFixed(1)} s, stall ${stall} ms`;
  return {
    workload: `${sockets} sockets, ${rooms === 1 ? "one room" : `${rooms} rooms`}, ${processes === 1 ? "one process" : `${processes} processes`}`,
    rows: [],
    remarks: [
      remark("connect and join", joined),
      `resident memory: ${(memory / sockets / 1024).toFixed(1)} KiB a socket`,
      remark("one message to its room", said),
      remark("all come back after a kill", back),
    ],
  };
}
