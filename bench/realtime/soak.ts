import { setTimeout as pause } from "node:timers/promises";
import type { RealtimeCounts } from "../../src/realtime/metrics.js";
import type { Context, Finding, Group } from "../group.js";
import { residentBytes } from "../metric.js";
import { residentMemory } from "../process/usage.js";
import { compare } from "../row.js";
import { type Server, type Site, siteAlone, startClient, startScript } from "../stage/servers.js";
import type { Account } from "./soak-client.js";

/** Milliseconds for both policies together. */
const usual = 600_000;
const quickly = 40_000;
const policies = ["drop", "close"] as const;

/** Whether every client can account for every message of its rooms, whatever happens to it. */
export const realtimeSoakGroup: Group = {
  name: "realtime-soak",
  onRequest: true,
  method: [
    "10 minutes (a quick run: 40 seconds), half of them with each policy for slow consumers. 40 clients in 12 rooms join,",
    "leave, speak, stop reading for up to 10 seconds, vanish and come back by `since`. Each checks that every message of",
    "its rooms came once and in order, or was named by a gap; at the end, that it is where the server is.",
  ],
  async *run({ quick, cpus, children, note }: Context): AsyncIterable<Finding> {
    const site = siteAlone(children, cpus.server);
    for (const policy of policies) {
      const milliseconds = (quick ? quickly : usual) / policies.length;
      yield await soak(site, { ...site, cpu: cpus.load }, policy, milliseconds, note);
    }
  },
};

async function soak(
  site: Site,
  loadSite: Site,
  policy: "close" | "drop",
  milliseconds: number,
  note: (line: string) => void,
): Promise<Finding> {
  const server = await startScript(site, "realtime/server", {
    ENTRANT: "protogate",
    POLICY: policy,
    BACKPRESSURE: String(64 * 1024),
    HISTORY: "30",
  });
  const clients = await startClient(loadSite, "realtime/soak-clients", {});
  await clients.ask(`start ${server.port} ${milliseconds}`);
  const memory: number[] = [];
  let account: Account & { readonly over: boolean };
  do {
    account = JSON.parse(await clients.ask("account"));
    memory.push(residentMemory(server.child.pid));
    note(`${policy}: ${describe(account)}`);
  } while (!account.over);
  const left = await leftBehind(server);
  await Promise.all([clients.stop(), server.child.stop()]);
  const broken = [...account.broken, ...left.map(([name, value]) => `${value} ${name} left at the end`)];
  if (broken.length > 0) throw new Error(`a client cannot account for its messages:\n${broken.join("\n")}`);
  const workload = `policy ${policy}, ${milliseconds / 1000} seconds`;
  const comparison = { group: "realtime-soak", workload, subject: "last third", baseline: "second third" };
  const third = Math.floor(memory.length / 3);
  const row = compare(comparison, residentBytes, memory.slice(-third), memory.slice(third, 2 * third));
  return {
    workload,
    rows: row === undefined ? [] : [row],
    remarks: [`every message is accounted for: ${describe(account)}`],
  };
}

/** What the server still counts when all clients have gone, and it has had time to notice. */
async function leftBehind({ child }: Server): Promise<[name: string, value: number][]> {
  const patience = performance.now() + 10_000;
  for (;;) {
    const { historyBytes, ...counts } = JSON.parse(await child.ask("census")) as RealtimeCounts;
    const left = Object.entries(counts).filter(([, value]) => value !== 0);
    if (left.length === 0 || performance.now() > patience) return left;
    await pause(100);
  }
}

function describe({ messages, lost, gaps, slow, resumed }: Account): string {
  const count = (value: number, what: string): string => `${value.toLocaleString("en")} ${what}`;
  return [
    count(messages, "received"),
    count(lost, `lost in ${count(gaps, "gaps")} that told so`),
    count(slow, "closed as slow"),
    count(resumed, "rooms resumed"),
  ].join(", ");
}
