import { Linked, Ring } from "../../net/ring.js";
import type { Rate } from "../rate.js";

/** Most keys of one limit; about 200 bytes each. */
const maxKeysOfLimit = 100_000;

/** The report and the request of a worker for one key. Counts are those since its last message. */
export interface LoanRequest {
  /** Of the limit and its definition. */
  readonly limit: string;
  /** A bucket's; of permits `interval` is 0, since they come back and do not refill, and `burst` is how many there are. */
  readonly rate: Rate;
  readonly key: string;
  /** Tokens that were used. */
  readonly spent: number;
  /** Ticks since the last of them was. */
  readonly age: number;
  /** Tokens that were not, and are given back. */
  readonly returned: number;
  readonly requested: number;
}

/** The use of a key's tokens by a borrower. */
export type Repayment = Pick<LoanRequest, "spent" | "age" | "returned">;

export interface Loan {
  readonly granted: number;
  /** Ticks until the bucket is full, if all that is lent is used. */
  readonly debt: number;
  /** Others hold tokens, and may give them back at any time. */
  readonly more: boolean;
}

/** The tokens of one key. */
class Account<B> extends Linked {
  /** When it would be full, if nothing was lent. */
  until = 0;
  /** Tokens that borrowers hold, as far as they have reported. */
  readonly lent = new Map<B, number>();
  lentSum = 0;

  constructor(readonly key: string) {
    super();
  }
}

interface Ledger<B> {
  readonly rate: Rate;
  readonly accounts: Map<string, Account<B>>;
  readonly ring: Ring<Account<B>>;
}

/**
 * The tokens of all limits of a machine, of which borrowers take small batches. Tokens in the bucket and lent ones are
 * together never more than the bucket holds: so all borrowers together never admit more than one process would.
 * @template B a borrower
 */
export class TokenBank<B> {
  readonly #ledgers = new Map<string, Ledger<B>>();
  readonly #now: () => number;
  readonly #maxKeys: number;

  /** @param now ticks of a monotonic clock */
  constructor(now: () => number, maxKeys = maxKeysOfLimit) {
    this.#now = now;
    this.#maxKeys = maxKeys;
  }

  /** Processes the report of a borrower, and lends the requested tokens as far as there are any. */
  lend(borrower: B, request: LoanRequest): Loan {
    const { rate } = request;
    const account = this.#account(request);
    const now = this.#now();
    const held = account.lent.get(borrower) ?? 0;
    // One that was forgotten, because there were too many keys, starts anew.
    const spent = Math.min(request.spent, held);
    const returned = Math.min(request.returned, held - spent);
    if (spent > 0) account.until = Math.max(account.until, now - request.age) + spent * rate.interval;
    account.lentSum -= spent + returned;
    const granted = Math.min(request.requested, this.#available(account, rate, now));
    account.lentSum += granted;
    const left = held - spent - returned + granted;
    if (left === 0) account.lent.delete(borrower);
    else account.lent.set(borrower, left);
    const debt = Math.max(0, account.until - now) + account.lentSum * rate.interval;
    return { granted, debt, more: account.lentSum > left };
  }

  /** The other borrowers that hold tokens of that key. */
  holders({ limit, key }: Pick<LoanRequest, "limit" | "key">, except: B): B[] {
    const account = this.#ledgers.get(limit)?.accounts.get(key);
    return account === undefined ? [] : [...account.lent.keys()].filter(borrower => borrower !== except);
  }

  /** A borrower is gone. Tokens of rates that it held count as used, since they may have been; permits are free again. */
  leave(borrower: B): void {
    const now = this.#now();
    for (const { rate, accounts } of this.#ledgers.values()) {
      for (const account of accounts.values()) {
        const held = account.lent.get(borrower);
        if (held === undefined) continue;
        account.lent.delete(borrower);
        account.lentSum -= held;
        account.until = Math.max(account.until, now) + held * rate.interval;
      }
    }
  }

  /** Removes full buckets. */
  removeFull(): void {
    const now = this.#now();
    for (const [limit, ledger] of this.#ledgers) {
      for (const account of ledger.ring.all()) if (isNew(account, now)) this.#drop(ledger, account);
      if (ledger.accounts.size === 0) this.#ledgers.delete(limit);
    }
  }

  /** How many are kept. */
  get keys(): number {
    return [...this.#ledgers.values()].reduce((sum, { accounts }) => sum + accounts.size, 0);
  }

  #available({ until, lentSum }: Account<B>, { interval, burst }: Rate, now: number): number {
    const used = interval === 0 ? 0 : Math.ceil(Math.max(0, until - now) / interval);
    return Math.max(0, burst - used - lentSum);
  }

  #account({ limit, rate, key }: LoanRequest): Account<B> {
    let ledger = this.#ledgers.get(limit);
    if (ledger === undefined) {
      ledger = { rate, accounts: new Map(), ring: new Ring() };
      this.#ledgers.set(limit, ledger);
    }
    let account = ledger.accounts.get(key);
    if (account === undefined) {
      this.#makeRoom(ledger);
      account = new Account<B>(key);
      ledger.accounts.set(key, account);
    } else ledger.ring.remove(account);
    ledger.ring.add(account);
    return account;
  }

  /** Two old keys go for each new one where they are as good as new. */
  #makeRoom(ledger: Ledger<B>): void {
    const now = this.#now();
    for (let looked = 0; looked < 2; looked++) {
      const { first } = ledger.ring;
      if (first === undefined || (!isNew(first, now) && ledger.accounts.size < this.#maxKeys)) return;
      this.#drop(ledger, first);
    }
  }

  #drop({ accounts, ring }: Ledger<B>, account: Account<B>): void {
    accounts.delete(account.key);
    ring.remove(account);
  }
}

function isNew({ until, lentSum }: Account<unknown>, now: number): boolean {
  return until <= now && lentSum === 0;
}
