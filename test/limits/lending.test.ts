import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Permit } from "../../src/limits/concurrency.js";
import { type Loan, type LoanRequest, TokenBank } from "../../src/limits/lending/bank.js";
import { Borrower } from "../../src/limits/lending/borrower.js";
import { createMemoryStore } from "../../src/limits/stores/memory.js";

/** Ticks. */
const interval = 1000;

/** A bank and its borrowers, on a clock of the test; messages arrive when the test delivers them. */
class Machine {
  now = 1_000_000;
  readonly bank = new TokenBank<number>(() => this.now);
  readonly borrowers: Borrower[] = [];
  /** On their way. */
  readonly messages: (() => void)[] = [];
  readonly #alive: boolean[] = [];
  readonly #recalls: boolean;

  /** @param recalls whether borrowers give back what another one needs */
  constructor(count: number, recalls = false) {
    this.#recalls = recalls;
    for (let index = 0; index < count; index++) this.borrowers.push(this.#join());
  }

  /** The borrower is gone, and another takes its place. */
  replace(index: number): void {
    const [id] = this.#ids.splice(index, 1);
    this.#alive[id as number] = false;
    this.bank.leave(id as number);
    this.borrowers.splice(index, 1);
    this.borrowers.push(this.#join());
  }

  /** Delivers what is on its way, and what is sent because of it. */
  async settle(): Promise<void> {
    do {
      for (const deliver of this.messages.splice(0)) deliver();
      await new Promise(setImmediate);
    } while (this.messages.length > 0);
  }

  readonly #ids: number[] = [];

  #join(): Borrower {
    const id = this.#alive.push(true) - 1;
    this.#ids.push(id);
    const lend = (request: LoanRequest): Loan => {
      const loan = this.bank.lend(id, request);
      if (!this.#recalls || loan.granted > 0) return loan;
      for (const holder of this.bank.holders(request, id)) {
        const back = this.borrowers[this.#ids.indexOf(holder)]?.recall(request.limit, request.key);
        if (back !== undefined) this.bank.lend(holder, { ...request, ...back, requested: 0 });
      }
      return this.bank.lend(id, { ...request, spent: 0, returned: 0 });
    };
    return new Borrower(
      {
        lend: request =>
          new Promise(resolve => {
            this.messages.push(() => {
              if (!this.#alive[id]) return;
              const loan = lend(request);
              this.messages.push(() => this.#alive[id] && resolve(loan));
            });
          }),
        report: request => {
          this.messages.push(() => this.#alive[id] && lend(request));
          return true;
        },
      },
      () => this.now,
    );
  }
}

const step = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant("take" as const), who: fc.nat(2), key: fc.nat(1) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("wait" as const), ticks: fc.nat(20 * interval) }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("deliver" as const), count: fc.integer({ min: 1, max: 5 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("sweep" as const), who: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("die" as const), who: fc.nat(2) }) },
);

describe("limits that workers share by lending", () => {
  it("all workers together never admit more than one bucket would, whatever is late or lost", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 200 }),
        fc.boolean(),
        fc.array(step, { maxLength: 200 }),
        async (burst, recalls, steps) => {
          const machine = new Machine(3, recalls);
          const rate = { interval, burst };
          /** Debts of buckets that see what was admitted when it was. */
          const until = new Map<string, number>();
          const admitted = (key: string): void => {
            const before = Math.max(until.get(key) ?? 0, machine.now);
            until.set(key, before + interval);
            assert.ok(
              before + interval - machine.now <= burst * interval,
              `${key}: more than the bucket holds`,
            );
          };
          const stores = () => machine.borrowers.map(borrower => borrower.store("limit", rate));
          for (const each of steps) {
            if (each.do === "wait") machine.now += each.ticks;
            else if (each.do === "deliver")
              for (const deliver of machine.messages.splice(0, each.count)) deliver();
            else if (each.do === "sweep") machine.borrowers[each.who]?.sweep();
            else if (each.do === "die") machine.replace(each.who);
            else {
              const key = `key ${each.key}`;
              const taken = stores()[each.who]?.take(key);
              if (taken instanceof Promise)
                void taken.then(
                  decision => decision.admitted && admitted(key),
                  () => undefined,
                );
              else if (taken?.admitted) admitted(key);
            }
            await new Promise(setImmediate);
          }
          await machine.settle();
        },
      ),
      { numRuns: 150 },
    );
  });

  it("nothing of a limit is lost: with nobody waiting for another, one worker gets what one process would", async () => {
    const rate = { interval, burst: 100 };
    const machine = new Machine(2, true);
    const [first, second] = machine.borrowers.map(borrower => borrower.store("limit", rate));
    const alone = createMemoryStore(rate, () => machine.now);
    const admit = async (store = first): Promise<boolean> => {
      const taken = store?.take("key");
      await machine.settle();
      return (await taken)?.admitted ?? false;
    };
    // The other one holds tokens that it does not use.
    assert.equal(await admit(second), true);
    assert.equal(alone.take("key").admitted, true);
    const counts = [0, 0];
    for (let request = 0; request < 150; request++) {
      if (await admit()) counts[0]!++;
      if (alone.take("key").admitted) counts[1]!++;
    }
    assert.deepEqual(counts, [99, 99]);
    machine.now += 40 * interval;
    for (let request = 0; request < 60; request++) {
      if (await admit()) counts[0]!++;
      if (alone.take("key").admitted) counts[1]!++;
    }
    assert.deepEqual(counts, [139, 139]);
  });

  it("a worker borrows once for many requests, and does not wait while it has tokens", async () => {
    const machine = new Machine(1);
    const store = machine.borrowers[0]?.store("limit", { interval, burst: 1000 });
    let asked = 0;
    let waited = 0;
    for (let request = 0; request < 500; request++) {
      if (store?.take("key") instanceof Promise) waited++;
      asked += machine.messages.length;
      await machine.settle();
    }
    assert.equal(waited, 1);
    assert.ok(asked <= 500 / 32 + 2, `${asked} messages`);
  });

  it("a key that is over its limit is refused without asking until a token is free", async () => {
    const machine = new Machine(1);
    const store = machine.borrowers[0]?.store("limit", { interval: 100_000, burst: 1 });
    const first = store?.take("key");
    await machine.settle();
    assert.equal((await first)?.admitted, true);
    await machine.settle();
    for (let request = 0; request < 100; request++) {
      const decision = store?.take("key");
      assert.ok(decision !== undefined && !(decision instanceof Promise) && !decision.admitted);
      assert.equal(machine.messages.length, 0);
    }
    machine.now += 100_000;
    const later = store?.take("key");
    await machine.settle();
    assert.equal((await later)?.admitted, true);
  });

  it("permits are never more than there are, come back, and those of a worker that is gone are free", async () => {
    const machine = new Machine(2, true);
    const [first, second] = machine.borrowers.map(borrower => borrower.permits("limit", 3));
    const acquire = async (limiter = first) => {
      const acquired = limiter?.acquire("key");
      await machine.settle();
      return acquired;
    };
    const held = [await acquire(), await acquire(second), await acquire()];
    assert.ok(held.every(release => release !== undefined));
    assert.equal(await acquire(), undefined);
    assert.equal(await acquire(second), undefined);
    held[0]?.();
    held[0]?.();
    machine.now += 1_000_000;
    assert.notEqual(await acquire(second), undefined);
    assert.equal(await acquire(), undefined);
    machine.replace(1);
    machine.now += 1_000_000;
    assert.notEqual(await acquire(), undefined);
    assert.notEqual(await acquire(), undefined);
    assert.equal(await acquire(), undefined);
  });

  it("permits in use are never more than there are, whatever is late or lost, and none is lost for ever", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.boolean(),
        fc.array(step, { maxLength: 200 }),
        async (first, recalls, steps) => {
          const machine = new Machine(3, recalls);
          /** By borrower: what it holds dies with it. */
          let held = new Map<Borrower, Permit[]>();
          const limiter = (who: number) => machine.borrowers[who]?.permits("limit", first);
          const hold = (borrower: Borrower, permit: Permit | undefined): void => {
            if (permit === undefined || !machine.borrowers.includes(borrower)) return;
            held.set(borrower, [...(held.get(borrower) ?? []), permit]);
            const sum = [...held.values()].reduce((count, { length }) => count + length, 0);
            assert.ok(sum <= first, `${sum} are in use`);
          };
          for (const each of steps) {
            const borrower = "who" in each ? (machine.borrowers[each.who] as Borrower) : undefined;
            if (each.do === "wait") machine.now += each.ticks;
            else if (each.do === "deliver")
              for (const deliver of machine.messages.splice(0, each.count)) deliver();
            else if (each.do === "sweep") borrower?.sweep();
            else if (each.do === "die") {
              machine.replace(each.who);
              held = new Map([...held].filter(([holder]) => holder !== borrower));
            } else if (each.key === 0) held.get(borrower as Borrower)?.pop()?.();
            else {
              const permit = limiter(each.who)?.acquire("key");
              if (!(permit instanceof Promise)) hold(borrower as Borrower, permit);
              else
                void permit.then(
                  acquired => hold(borrower as Borrower, acquired),
                  () => undefined,
                );
            }
            await new Promise(setImmediate);
          }
          await machine.settle();
          for (const permits of held.values()) for (const release of permits) release();
          held.clear();
          for (let sweep = 0; sweep < 3; sweep++) {
            for (const borrower of machine.borrowers) borrower.sweep();
            await machine.settle();
          }
          machine.now += 1_000_000;
          for (let count = 0; count < first; count++) {
            const permit = limiter(0)?.acquire("key");
            await machine.settle();
            assert.notEqual(await permit, undefined, `${count} of ${first}`);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it("with fewer permits than before, those in use count on and none is given until there are fewer in use", async () => {
    const machine = new Machine(2, true);
    const acquire = async (who: number, max: number) => {
      const acquired = machine.borrowers[who]?.permits("limit", max).acquire("key");
      await machine.settle();
      machine.now += 1_000_000;
      return acquired;
    };
    const held = [];
    for (let count = 0; count < 10; count++) held.push(await acquire(count % 2, 64));
    for (const who of [0, 1]) assert.equal(await acquire(who, 8), undefined);
    for (const release of held.splice(0, 2)) release?.();
    assert.equal(await acquire(0, 8), undefined);
    held.pop()?.();
    assert.notEqual(await acquire(0, 8), undefined);
    assert.equal(await acquire(1, 8), undefined);
    assert.notEqual(await acquire(1, 9), undefined);
  });

  it("an allowance that nobody uses is given back and forgotten by both sides", async () => {
    const machine = new Machine(1);
    const [borrower] = machine.borrowers;
    const store = borrower?.store("limit", { interval, burst: 100 });
    for (let key = 0; key < 50; key++) void store?.take(`key ${key}`);
    await machine.settle();
    assert.equal(machine.bank.keys, 50);
    for (let sweep = 0; sweep < 2; sweep++) borrower?.sweep();
    await machine.settle();
    assert.equal(borrower?.keys, 0);
    machine.now += 100 * interval;
    machine.bank.removeFull();
    assert.equal(machine.bank.keys, 0);
  });
});
