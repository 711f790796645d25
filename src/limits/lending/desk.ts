import type { ProcessChannel } from "../../workers/channel.js";
import type { WorkerPool, WorkerProcess } from "../../workers/pool.js";
import { question, topic } from "../../workers/topic.js";
import { monotonicTicks } from "../rate.js";
import { type Loan, type LoanRequest, type Repayment, TokenBank } from "./bank.js";
import { Borrower } from "./borrower.js";

const lendTokens = question<LoanRequest, Loan>("limits.lend");
const reportTokens = topic<LoanRequest>("limits.report");
const recallTokens = question<Pick<LoanRequest, "limit" | "key">, Repayment>("limits.recall");

/** Milliseconds that the other process may take. */
const responseMs = 1000;
const tidyMs = 60_000;
const sweepMs = 1000;

/** In the primary: lends the tokens of all limits to the workers. */
export class LendingDesk {
  readonly #bank = new TokenBank<WorkerProcess>(monotonicTicks);

  constructor(pool: WorkerPool) {
    setInterval(() => this.#bank.tidy(), tidyMs).unref();
    pool.onForked(worker => {
      const { channel } = worker;
      channel.onRequest(lendTokens, request => this.#lend(worker, request));
      channel.onMessage(reportTokens, request => this.#bank.lend(worker, request));
      void channel.closed.then(() => this.#bank.leave(worker));
    });
  }

  async #lend(worker: WorkerProcess, request: LoanRequest): Promise<Loan> {
    const loan = this.#bank.lend(worker, request);
    if (loan.granted > 0) return loan;
    const holders = this.#bank.holders(request, worker);
    if (holders.length === 0) return loan;
    await Promise.all(holders.map(holder => this.#recall(holder, request)));
    return this.#bank.lend(worker, { ...request, spent: 0, returned: 0 });
  }

  /** What a worker does not give back in time it keeps. */
  async #recall(holder: WorkerProcess, request: LoanRequest): Promise<void> {
    const { limit, key } = request;
    try {
      const repayment = await holder.channel.ask(recallTokens, { limit, key }, responseMs);
      this.#bank.lend(holder, { ...request, ...repayment, wanted: 0 });
    } catch {}
  }
}

/** In a worker: what takes tokens from the primary. */
export function borrowFrom(channel: ProcessChannel): Borrower {
  const lender = {
    lend: (request: LoanRequest) => channel.ask(lendTokens, request, responseMs),
    report: (request: LoanRequest) => void channel.send(reportTokens, request),
  };
  const borrower = new Borrower(lender, monotonicTicks);
  channel.onRequest(recallTokens, ({ limit, key }) => borrower.recall(limit, key));
  setInterval(() => borrower.sweep(), sweepMs).unref();
  return borrower;
}
