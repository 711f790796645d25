import { within } from "../../net/within.js";
import type { ProcessChannel } from "../../workers/channel.js";
import type { WorkerPool, WorkerProcess } from "../../workers/pool.js";
import { requestTopic, topic } from "../../workers/topic.js";
import { monotonicTicks } from "../rate.js";
import { type Loan, type LoanRequest, type Repayment, TokenBank } from "./bank.js";
import { Borrower } from "./borrower.js";

const lendTokens = requestTopic<LoanRequest, Loan>("limits.lend");
const reportTokens = topic<LoanRequest>("limits.report");
const recallTokens = requestTopic<Pick<LoanRequest, "limit" | "key">, Repayment>("limits.recall");

/** Milliseconds in which others have to give back tokens that one needs. */
const recallMs = 500;
const tidyMs = 60_000;
const sweepMs = 1000;

/** In the primary: lends the tokens of all limits to the workers. */
export class TokenLender {
  readonly #bank = new TokenBank<WorkerProcess>(monotonicTicks);
  readonly #workers = new Set<WorkerProcess>();
  /** Recalls without a response so far, by holder, limit and key. */
  readonly #recalls = new Map<string, Promise<void>>();

  constructor(pool: Pick<WorkerPool, "onForked">) {
    setInterval(() => this.#bank.removeFull(), tidyMs).unref();
    pool.onForked(worker => {
      const { channel } = worker;
      this.#workers.add(worker);
      channel.onRequest(lendTokens, request => this.#lend(worker, request));
      channel.onMessage(reportTokens, request => this.#bank.lend(worker, request));
      void channel.closed.then(() => {
        this.#workers.delete(worker);
        this.#bank.leave(worker);
      });
    });
  }

  async #lend(worker: WorkerProcess, request: LoanRequest): Promise<Loan> {
    const loan = this.#bank.lend(worker, request);
    if (loan.granted > 0) return loan;
    const holders = this.#bank.holders(request, worker);
    if (holders.length === 0) return loan;
    const recalls = holders.map(holder => this.#recall(holder, request));
    await within(Promise.all(recalls), recallMs).catch(() => undefined);
    // Tokens for a worker that has ended meanwhile would never come back.
    if (!this.#workers.has(worker)) return loan;
    return this.#bank.lend(worker, { ...request, spent: 0, returned: 0 });
  }

  /** Resolves when a worker has given back its unused tokens, however late, or has ended. */
  #recall(holder: WorkerProcess, request: LoanRequest): Promise<void> {
    const { limit, key } = request;
    const id = `${holder.pid} ${limit} ${key}`;
    let recall = this.#recalls.get(id);
    if (recall === undefined) {
      recall = holder.channel
        .request(recallTokens, { limit, key })
        .then(repayment => void this.#bank.lend(holder, { ...request, ...repayment, requested: 0 }))
        .catch(() => undefined)
        .finally(() => this.#recalls.delete(id));
      this.#recalls.set(id, recall);
    }
    return recall;
  }
}

/** In a worker: borrows tokens from the primary. */
export function borrowFrom(channel: ProcessChannel): Borrower {
  const lender = {
    lend: (request: LoanRequest) => channel.request(lendTokens, request),
    report: (request: LoanRequest) => channel.send(reportTokens, request),
  };
  const borrower = new Borrower(lender, monotonicTicks);
  channel.onRequest(recallTokens, ({ limit, key }) => borrower.recall(limit, key));
  setInterval(() => borrower.sweep(), sweepMs).unref();
  return borrower;
}
