import type { Finding } from "../group.js";
import { messagesPerCpu, requestCalls } from "../metric.js";
import type { Child } from "../process/child.js";
import { countCalls } from "../process/strace.js";
import { type Comparison, compare, medianOf, type Row } from "../row.js";
import type { Driver } from "./driver.js";
import { type Language, type Round, roundMetrics, runRound } from "./round.js";
import { type Settled, settle } from "./settle.js";

/** A process under test. */
export interface Contender {
  readonly name: string;
  /** Names of those that it is compared with; none for a rival. */
  readonly baselines: readonly string[];
  readonly child: Child;
  readonly language: Language;
  readonly driver: Driver;
}

/** How long to measure. Times in milliseconds. */
export interface Plan {
  readonly pairs: number;
  /** Requests of a batch: there are batches until the CPU time for a request falls no more. */
  readonly warmUp: number;
  readonly milliseconds: number;
  /** Requests during which system calls are counted; 0 where they are not. */
  readonly tracedRequests: number;
}

/** Contenders that all do the same work. */
export interface Cell {
  readonly group: string;
  readonly workload: string;
  readonly plan: Plan;
  /** In the order in which each pair of rounds runs. */
  readonly contenders: readonly Contender[];
  readonly upstream: Child;
  /** Messages of the stream that answers one request; absent where it is no stream. */
  readonly messages?: number;
  /** Where strace runs. */
  readonly spareCpu: number | undefined;
}

interface Measured {
  readonly rounds: Round[];
  readonly calls: number | undefined;
  readonly settled: Settled;
}

/** Measures all contenders in turn, and compares each with its baselines. */
export async function measureCell(cell: Cell): Promise<Finding> {
  const measured = await measureAll(cell);
  const { group, workload } = cell;
  const rows: Row[] = [];
  for (const { name, baselines } of cell.contenders) {
    for (const baseline of baselines) {
      const own = measured.get(name);
      const other = measured.get(baseline);
      if (own === undefined || other === undefined) continue;
      const comparison = { group, workload, subject: name, baseline };
      rows.push(...compareMessages(comparison, cell, own, other), ...compareRounds(comparison, own, other));
    }
  }
  const remarks = [...measured].flatMap(([name, { rounds, settled }]) => [
    remark(name, rounds),
    costs(name, rounds, settled),
  ]);
  return { workload, rows, remarks };
}

async function measureAll(cell: Cell): Promise<Map<string, Measured>> {
  const { plan, contenders, upstream } = cell;
  const measured = new Map<string, Measured>();
  const bounds = { milliseconds: plan.milliseconds, requests: Number.MAX_SAFE_INTEGER };
  for (const contender of contenders) {
    await opened(cell, contender, async () => {
      const settled = await settle(contender, plan.warmUp);
      const calls = plan.tracedRequests > 0 ? await countPerRequest(cell, contender) : undefined;
      measured.set(contender.name, { rounds: [], calls, settled });
    });
  }
  for (let pair = 0; pair < plan.pairs; pair += 1) {
    for (const contender of contenders) {
      const round = await opened(cell, contender, () => runRound({ ...contender, upstream }, bounds));
      measured.get(contender.name)?.rounds.push(round);
    }
  }
  return measured;
}

async function opened<T>(cell: Cell, { name, driver }: Contender, work: () => Promise<T>): Promise<T> {
  try {
    await driver.open();
    const result = await work();
    await driver.close();
    return result;
  } catch (error) {
    throw new Error(`${name}, ${cell.workload}: ${(error as Error).message}`, { cause: error });
  }
}

async function countPerRequest(
  { plan, spareCpu }: Cell,
  { child, driver }: Contender,
): Promise<number | undefined> {
  let requests = 0;
  const calls = await countCalls(child.pid, spareCpu, async () => {
    ({ requests } = await driver.run({ milliseconds: 10_000, requests: plan.tracedRequests }));
  });
  return calls === undefined || requests === 0 ? undefined : calls / requests;
}

function compareMessages(comparison: Comparison, { messages }: Cell, own: Measured, other: Measured): Row[] {
  if (messages === undefined) return [];
  const of = ({ requests, cpu }: Round): number => (requests * messages) / cpu;
  return [compare(comparison, messagesPerCpu, own.rounds.map(of), other.rounds.map(of)) ?? []].flat();
}

function compareRounds(comparison: Comparison, own: Measured, other: Measured): Row[] {
  const rows = roundMetrics.map(({ metric, of }) =>
    compare(comparison, metric, own.rounds.map(of), other.rounds.map(of)),
  );
  rows.push(compare(comparison, requestCalls, [own.calls], [other.calls]));
  return rows.filter(row => row !== undefined);
}

/** Share of one CPU from which on strangers are in the way. */
const disturbing = 0.25;

/** Who was busy: a process that is not is held up by what surrounds it. */
function remark(name: string, rounds: readonly Round[]): string {
  const shareOf = (of: (round: Round) => number | undefined): number | undefined => {
    const shares = rounds.map(round => (of(round) ?? Number.NaN) / round.seconds);
    return shares.some(Number.isNaN) ? undefined : medianOf(shares);
  };
  const strangers = shareOf(round => round.strangersCpu) ?? 0;
  const parts = [
    ["its own", shareOf(round => round.cpu)],
    ["kept waiting", shareOf(round => round.wait)],
    ["pauses for garbage collection", shareOf(round => round.collecting)],
    ["upstream", shareOf(round => round.upstreamCpu)],
    ["load", shareOf(round => round.loadCpu)],
    ["strangers", strangers],
  ] as const;
  const known = parts.flatMap(([what, share]) => (share === undefined ? [] : [`${what} ${percent(share)}`]));
  const disturbed = strangers >= disturbing ? "; disturbed: its requests/s and latency say little" : "";
  return `CPU while ${name} ran: ${known.join(", ")}${disturbed}`;
}

/** Each round, so that a median can be judged, and what came before. */
function costs(name: string, rounds: readonly Round[], settled: Settled): string {
  const all = rounds.map(({ cpu, requests }) => microseconds((cpu / requests) * 1e6)).join(" ");
  const { requests, cold, warm } = settled;
  const end = settled.settled ? "" : ", still falling";
  return `CPU µs/request of ${name}, round by round: ${all}; warmed up by ${requests} requests: ${microseconds(cold)} → ${microseconds(warm)}${end}`;
}

function microseconds(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3);
}

function percent(share: number): string {
  const value = share * 100;
  return `${value >= 10 ? Math.round(value) : value.toFixed(1)} %`;
}
