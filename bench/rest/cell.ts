import type { Finding } from "../group.js";
import type { Load } from "../load/load.js";
import { requestCalls } from "../metric.js";
import type { Cpus } from "../process/cpus.js";
import { countCalls } from "../process/strace.js";
import { compare, medianOf, type Row } from "../row.js";
import { type Round, roundMetrics, runRound } from "./round.js";
import type { Server } from "./servers.js";
import type { Subject } from "./subjects.js";
import { requestBytes, type Workload } from "./workloads.js";

/** A subject that runs. */
export interface Contender {
  readonly subject: Subject;
  readonly server: Server;
}

/** How long to measure. Times in milliseconds. */
export interface Plan {
  readonly pairs: number;
  readonly warmUp: number;
  readonly milliseconds: number;
  /** Requests during which system calls are counted. */
  readonly tracedRequests: number;
}

/** One workload at one number of connections. */
export interface Cell {
  readonly group: string;
  readonly workload: Workload;
  readonly connections: number;
  readonly plan: Plan;
  readonly cpus: Cpus;
  readonly strace: boolean;
}

/** What a cell is measured with. */
export interface Rig {
  readonly load: Load;
  readonly upstream: Server;
  readonly contenders: readonly Contender[];
}

interface Measured {
  readonly rounds: readonly Round[];
  readonly calls: number | undefined;
}

/** Measures all contenders in turn, and compares each subject with its baselines. */
export async function measureCell(cell: Cell, rig: Rig): Promise<Finding> {
  const measured = await measureAll(cell, rig);
  const workload = `${cell.workload.name}, ${cell.connections} connection${cell.connections === 1 ? "" : "s"}`;
  const rows: Row[] = [];
  for (const { subject } of rig.contenders) {
    for (const baseline of subject.baselines) {
      const own = measured.get(subject.name);
      const other = measured.get(baseline);
      if (own === undefined || other === undefined) continue;
      rows.push(
        ...compareRounds({ group: cell.group, workload, subject: subject.name, baseline }, own, other),
      );
    }
  }
  return { workload, rows, remarks: [...measured].map(([name, { rounds }]) => remark(name, rounds)) };
}

async function measureAll(cell: Cell, { load, upstream, contenders }: Rig): Promise<Map<string, Measured>> {
  const { plan, connections } = cell;
  const request = requestBytes(cell.workload);
  const measured = new Map<string, { rounds: Round[]; calls: number | undefined }>();
  const opened = async <T>({ subject, server }: Contender, work: () => Promise<T>): Promise<T> => {
    try {
      await load.open(server.port, connections, request);
      const result = await work();
      await load.close();
      return result;
    } catch (error) {
      throw new Error(`${subject.name}, ${cell.workload.name}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  };
  const bounds = { milliseconds: plan.milliseconds, requests: Number.MAX_SAFE_INTEGER };
  for (const contender of contenders) {
    const { subject, server } = contender;
    const calls = await opened(contender, async () => {
      await load.run({ ...bounds, milliseconds: plan.warmUp });
      return cell.strace ? await countPerRequest(cell, load, server) : undefined;
    });
    measured.set(subject.name, { rounds: [], calls });
  }
  for (let pair = 0; pair < plan.pairs; pair += 1) {
    for (const contender of contenders) {
      const round = await opened(contender, () => runRound(load, contender.server, upstream, bounds));
      measured.get(contender.subject.name)?.rounds.push(round);
    }
  }
  return measured;
}

async function countPerRequest(
  { plan, cpus }: Cell,
  load: Load,
  { child }: Server,
): Promise<number | undefined> {
  let requests = 0;
  const calls = await countCalls(child.pid, cpus.load, async () => {
    ({ requests } = await load.run({ milliseconds: 10_000, requests: plan.tracedRequests }));
  });
  return calls === undefined || requests === 0 ? undefined : calls / requests;
}

function compareRounds(comparison: Parameters<typeof compare>[0], own: Measured, other: Measured): Row[] {
  const rows = roundMetrics.map(({ metric, of }) =>
    compare(comparison, metric, own.rounds.map(of), other.rounds.map(of)),
  );
  rows.push(compare(comparison, requestCalls, [own.calls], [other.calls]));
  return rows.filter(row => row !== undefined);
}

/** Who was busy: a server that is not is held up by what surrounds it. */
function remark(name: string, rounds: readonly Round[]): string {
  const share = (of: (round: Round) => number): string =>
    `${Math.round(medianOf(rounds.map(round => of(round) / round.seconds)) * 100)} %`;
  return `CPU while ${name} ran: server ${share(r => r.serverCpu)} (kept waiting ${share(r => r.serverWait)}), upstream ${share(r => r.upstreamCpu)}, load ${share(r => r.loadCpu)}`;
}
