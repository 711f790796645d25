import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Context, Finding, Group } from "../group.js";
import { type Contender, measureCell, type Plan } from "../measure/cell.js";
import { httpDriver } from "../measure/driver.js";
import { requestCpu } from "../metric.js";
import { requestBytes, smallGet } from "../rest/workloads.js";
import { type Parts, type Server, startGateway } from "../stage/servers.js";
import { openStage, type Stage } from "../stage/stage.js";
import { type Chain, chains, noChain, oneJwt, wholeChain } from "./chains.js";
import { writeConfig } from "./config.js";
import { type Credentials, makeCredentials } from "./credentials.js";

const engines: readonly Parts["engine"][] = ["uws", "fastify"];
const connectionCounts: readonly number[] = [10, 100];
const callers = 1000;

/**
 * V8 makes its young generation small again for a process that waits for its turn, and collects it ten times as often
 * until it has grown: more than what is measured here.
 */
const nodeOptions = ["--min-semi-space-size=16"];

/** What each link of the chain that a request passes costs. */
export const authGroup: Group = {
  name: "auth",
  method: [
    "A gateway with the link and one without run in turn, each sends the small GET upstream. Tokens are of RS256 and were",
    `verified before; "many in turn" are ${callers} of as many callers. A quick run measures one token and the whole chain.`,
  ],
  async *run(context: Context): AsyncIterable<Finding> {
    const { quick } = context;
    const stage = await openStage(context);
    const folder = await mkdtemp(join(tmpdir(), "protogate-bench-"));
    try {
      const credentials = await makeCredentials(quick ? 100 : callers);
      for (const engine of engines) {
        const start = (chain: Chain): Promise<Entrant> => enter(stage, engine, chain, credentials, folder);
        const base = await start(noChain);
        for (const chain of quick ? [oneJwt, wholeChain] : chains) {
          const entrant = await start(chain);
          for (const connections of quick ? connectionCounts.slice(0, 1) : connectionCounts) {
            yield await compared(context, stage, entrant, base, connections, engine);
          }
          await entrant.server.child.stop();
        }
        await base.server.child.stop();
      }
    } finally {
      await stage.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

/** A gateway that runs, and the requests that its chain lets pass. */
interface Entrant {
  readonly chain: Chain;
  readonly server: Server;
  readonly requests: readonly Buffer[];
}

/** Starts a gateway. The warm-up of its cells lets it know all tokens, too. */
async function enter(
  { site }: Stage,
  engine: Parts["engine"],
  chain: Chain,
  credentials: Credentials,
  folder: string,
): Promise<Entrant> {
  const config = await writeConfig(folder, chain, credentials);
  const server = await startGateway(site, { engine, transport: "lean" }, { config, nodeOptions });
  const lines = chain.headers?.(credentials) ?? [""];
  const requests = lines.map(line => withLine(requestBytes(smallGet), line));
  return { chain, server, requests };
}

/** A request with one more header line, before the empty one that ends its head. */
function withLine(request: Buffer, line: string): Buffer {
  return line === "" ? request : Buffer.from(`${request.toString("latin1").slice(0, -2)}${line}\r\n\r\n`);
}

async function compared(
  { quick, cpus }: Context,
  { load, upstream }: Stage,
  subject: Entrant,
  base: Entrant,
  connections: number,
  engine: Parts["engine"],
): Promise<Finding> {
  const contender = ({ chain, server, requests }: Entrant, baselines: readonly string[]): Contender => ({
    name: chain.name,
    baselines,
    child: server.child,
    language: "node",
    driver: httpDriver(load, { port: server.port, connections, request: requests }),
  });
  const finding = await measureCell({
    group: "auth",
    workload: `${subject.chain.name}, engine ${engine}, ${connections} connections`,
    plan: quick ? quickPlan : plan,
    contenders: [contender(subject, [base.chain.name]), contender(base, [])],
    upstream: upstream.child,
    spareCpu: cpus.load,
  });
  const cpu = finding.rows.find(({ metric }) => metric === requestCpu.name);
  const more = cpu === undefined ? "" : ((1 / cpu.ratio - 1) * 100).toFixed(1);
  return { ...finding, remarks: [`CPU/request over no auth: ${more} %`, ...finding.remarks] };
}

const quickPlan: Plan = { pairs: 5, warmUp: 2000, milliseconds: 300, tracedRequests: 0 };
const plan: Plan = { pairs: 31, warmUp: 2000, milliseconds: 150, tracedRequests: 0 };
