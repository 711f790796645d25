import { within } from "../../net/within.js";
import type { ConcurrencyLimiter } from "../concurrency.js";
import { type Decision, type Rate, ticksPerMillisecond } from "../rate.js";
import type { Store } from "../stores/store.js";
import type { Loan, LoanRequest, Repayment } from "./bank.js";

/** Tokens of one key that a worker takes at once, at most. */
const maxBatch = 64;

/** A batch is at most one part in so many of all tokens. */
const batchShare = 8;

/** Ticks for which a key is not requested again, once the only tokens left were held by others. */
const retryTicks = 10 * ticksPerMillisecond;

/** Most keys of one limit that are in use within two seconds. */
const maxKeysOfLimit = 100_000;

/** Milliseconds that a request waits for the lender. */
const maxWaitMs = 1000;

/** Sweeps, one a second, that a key is kept for unused. */
const keptSweeps = 2;

/** The source of tokens. Lent tokens count as lent until they are given back, however late they arrive. */
export interface Lender {
  /** Rejects where the lender has not got the request, and never will. */
  lend(request: LoanRequest): Promise<Loan>;
  /** The same for reports and returned tokens alone. @returns false where the lender does not get it */
  report(request: LoanRequest): boolean;
}

class Holding {
  /** Tokens that may be used without a request. */
  held = 0;
  /** Tokens used since the last report. */
  spent = 0;
  /** When the last of them was. */
  spentAt = 0;
  /** Permits in use. */
  used = 0;
  pending: Promise<void> | undefined;
  /** Ticks before which there is nothing to be had. */
  emptyUntil = 0;
  /** The debt in the lender's last message, and its time. */
  debt = 0;
  debtAt = 0;
  /** Sweeps since it was last used. */
  idle = 0;
}

/** The tokens of one limit that this worker holds. */
class BorrowedTokens {
  readonly #holdings = new Map<string, Holding>();
  readonly #limit: string;
  #rate: Rate;
  #batch: number;
  readonly #lender: Lender;
  readonly #now: () => number;

  constructor(limit: string, rate: Rate, lender: Lender, now: () => number) {
    this.#limit = limit;
    this.#rate = rate;
    this.#batch = batchOf(rate);
    this.#lender = lender;
    this.#now = now;
  }

  get rate(): Rate {
    return this.#rate;
  }

  /** Unused tokens are given back, since there may be fewer now. */
  set rate(rate: Rate) {
    if (rate.burst === this.#rate.burst && rate.interval === this.#rate.interval) return;
    for (const [key, holding] of this.#holdings) this.report(key, holding);
    this.#rate = rate;
    this.#batch = batchOf(rate);
  }

  holding(key: string): Holding {
    let holding = this.#holdings.get(key);
    if (holding === undefined) {
      if (this.#holdings.size >= maxKeysOfLimit) this.#makeRoom();
      holding = new Holding();
      this.#holdings.set(key, holding);
    }
    holding.idle = 0;
    return holding;
  }

  /** Uses a held token. Requests more before the last one is used. */
  use(key: string, holding: Holding): boolean {
    if (holding.held === 0) return false;
    holding.held--;
    if (holding.held <= this.#batch / 2 && holding.emptyUntil <= this.#now())
      this.borrow(key, holding).catch(() => undefined);
    return true;
  }

  /**
   * Waits for a token. One that comes too late for the request is there for others.
   * @returns false where none is available
   * @throws Error (by rejection) where the lender does not respond in time
   */
  async wait(key: string, holding: Holding): Promise<boolean> {
    for (;;) {
      if (this.use(key, holding)) return true;
      if (holding.emptyUntil > this.#now()) return false;
      await within(this.borrow(key, holding), maxWaitMs);
    }
  }

  borrow(key: string, holding: Holding): Promise<void> {
    holding.pending ??= this.#borrow(key, holding).finally(() => {
      holding.pending = undefined;
    });
    return holding.pending;
  }

  async #borrow(key: string, holding: Holding): Promise<void> {
    const { spent, age } = this.#spent(holding);
    const rate = this.#rate;
    const request = this.#request(key, { spent, age, returned: 0 }, this.#batch);
    const { granted, debt, more } = await this.#lender.lend(request).catch((error: unknown) => {
      holding.spent += spent;
      throw error;
    });
    const { interval, burst } = rate;
    const now = this.#now();
    holding.held += granted;
    holding.debt = debt;
    holding.debtAt = now;
    if (rate !== this.#rate) this.report(key, holding);
    if (granted > 0) return;
    holding.emptyUntil =
      now +
      (more || interval === 0
        ? retryTicks
        : Math.max(ticksPerMillisecond, debt + interval - burst * interval));
  }

  /** Ticks until the bucket is full, as far as is known here. */
  debt({ debt, debtAt, held }: Holding): number {
    return Math.max(0, debt - (this.#now() - debtAt) - held * this.#rate.interval);
  }

  /** Gives back unused tokens. */
  giveBack(key: string): Repayment {
    const holding = this.#holdings.get(key);
    if (holding === undefined) return { spent: 0, age: 0, returned: 0 };
    const { held: returned } = holding;
    holding.held = 0;
    return { ...this.#spent(holding), returned };
  }

  #spent(holding: Holding): Pick<Repayment, "spent" | "age"> {
    const { spent, spentAt } = holding;
    holding.spent = 0;
    return { spent, age: spent === 0 ? 0 : this.#now() - spentAt };
  }

  sweep(): void {
    for (const [key, holding] of this.#holdings) if (++holding.idle >= keptSweeps) this.#forget(key, holding);
  }

  #makeRoom(): void {
    for (const [key, holding] of this.#holdings) {
      this.#forget(key, holding);
      return;
    }
  }

  /** Gives all back. Permits in use are kept. */
  #forget(key: string, holding: Holding): void {
    if (holding.pending !== undefined) return;
    if (this.report(key, holding) && holding.used === 0) this.#holdings.delete(key);
  }

  /** Gives all back that is not in use. @returns false where the lender does not get it */
  report(key: string, holding: Holding): boolean {
    const repayment = this.giveBack(key);
    const { spent, returned } = repayment;
    if (spent + returned === 0 || this.#lender.report(this.#request(key, repayment, 0))) return true;
    holding.spent += spent;
    holding.held += returned;
    return false;
  }

  get keys(): number {
    return this.#holdings.size;
  }

  #request(key: string, repayment: Repayment, requested: number): LoanRequest {
    return { limit: this.#limit, rate: this.#rate, key, ...repayment, requested: requested };
  }
}

/** The limits of a worker, whose tokens come from the primary. */
export class Borrower {
  readonly #byLimit = new Map<string, BorrowedTokens>();
  readonly #lender: Lender;
  readonly #now: () => number;

  /** @param now ticks of a monotonic clock */
  constructor(lender: Lender, now: () => number) {
    this.#lender = lender;
    this.#now = now;
  }

  /** The buckets of a limit. */
  store(limit: string, rate: Rate): Store {
    const borrowed = this.#borrowed(`${limit} ${rate.burst}/${rate.interval}`, rate);
    const decide = (holding: Holding, admitted: boolean): Decision => {
      if (admitted) {
        holding.spent++;
        holding.spentAt = this.#now();
      }
      const debt = borrowed.debt(holding);
      return { admitted, debt: admitted ? debt : Math.max(debt, (rate.burst - 1) * rate.interval + 1) };
    };
    return {
      take: key => {
        const holding = borrowed.holding(key);
        if (borrowed.use(key, holding)) return decide(holding, true);
        if (holding.emptyUntil > this.#now()) return decide(holding, false);
        return borrowed.wait(key, holding).then(admitted => decide(holding, admitted));
      },
    };
  }

  /** The permits of a limit. Where there were more or fewer before, those in use count on. */
  permits(limit: string, maxPermits: number): ConcurrencyLimiter {
    const most = { interval: 0, burst: maxPermits };
    const borrowed = this.#borrowed(`${limit} permits`, most);
    borrowed.rate = most;
    const permit = (key: string, holding: Holding): (() => void) => {
      const { rate } = borrowed;
      holding.used++;
      let released = false;
      return () => {
        if (released) return;
        released = true;
        holding.used--;
        holding.held++;
        holding.idle = 0;
        // There may be fewer now.
        if (borrowed.rate !== rate) borrowed.report(key, holding);
      };
    };
    return {
      acquire: key => {
        const holding = borrowed.holding(key);
        if (borrowed.use(key, holding)) return permit(key, holding);
        if (holding.emptyUntil > this.#now()) return undefined;
        return borrowed.wait(key, holding).then(admitted => (admitted ? permit(key, holding) : undefined));
      },
    };
  }

  /** The tokens that the lender requests back for others. */
  recall(limit: string, key: string): Repayment {
    return this.#byLimit.get(limit)?.giveBack(key) ?? { spent: 0, age: 0, returned: 0 };
  }

  /** To be called once a second: gives back tokens that were not used recently. */
  sweep(): void {
    for (const borrowed of this.#byLimit.values()) borrowed.sweep();
  }

  /** How many are kept. */
  get keys(): number {
    return [...this.#byLimit.values()].reduce((sum, { keys }) => sum + keys, 0);
  }

  #borrowed(limit: string, rate: Rate): BorrowedTokens {
    let borrowed = this.#byLimit.get(limit);
    if (borrowed === undefined) {
      borrowed = new BorrowedTokens(limit, rate, this.#lender, this.#now);
      this.#byLimit.set(limit, borrowed);
    }
    return borrowed;
  }
}

function batchOf({ burst }: Rate): number {
  return Math.max(1, Math.min(maxBatch, Math.floor(burst / batchShare)));
}
