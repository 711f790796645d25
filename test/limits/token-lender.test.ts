import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { ConcurrencyLimiter, Permit } from "../../src/limits/concurrency.js";
import type { Loan, LoanRequest, Repayment } from "../../src/limits/lending/bank.js";
import { borrowFrom, TokenLender } from "../../src/limits/lending/token-lender.js";
import type { ProcessChannel } from "../../src/workers/channel.js";
import type { WorkerProcess } from "../../src/workers/pool.js";
import { requestTopic } from "../../src/workers/topic.js";
import { type InProcess, workerInProcess } from "../workers/in-process.js";

const lend = requestTopic<LoanRequest, Loan>("limits.lend");
const recall = requestTopic<Pick<LoanRequest, "limit" | "key">, Repayment>("limits.recall");

const rate = { interval: 0, burst: 3 };
const all: LoanRequest = {
  limit: "x permits",
  rate,
  key: "key",
  spent: 0,
  age: 0,
  returned: 0,
  requested: 3,
};

describe("permits that the primary lends", () => {
  const forked: ((worker: WorkerProcess) => void)[] = [];
  let workers: InProcess[] = [];
  const fork = (): ProcessChannel => {
    const made = workerInProcess(workers.length + 1);
    workers.push(made);
    for (const handle of forked) handle(made.worker);
    return made.open();
  };
  const limiter = (): ConcurrencyLimiter => borrowFrom(fork()).permits("x", rate.burst);
  /** Tries until there is one. */
  const acquire = async (permits: ConcurrencyLimiter): Promise<Permit> => {
    for (;;) {
      const permit = await permits.acquire("key");
      if (permit !== undefined) return permit;
      await new Promise(resolve => setImmediate(resolve));
    }
  };

  beforeEach(() => {
    forked.length = 0;
    new TokenLender({ onForked: handle => void forked.push(handle) });
  });
  afterEach(() => {
    for (const { kill } of workers) kill();
    workers = [];
  });

  it("a return by a worker is available to others even after they have ceased to wait", async () => {
    const slow = fork();
    let answer = (): void => undefined;
    slow.onRequest(recall, () => {
      return new Promise(resolve => (answer = () => resolve({ spent: 0, age: 0, returned: 3 })));
    });
    assert.equal((await slow.request(lend, all)).granted, 3);
    const other = limiter();
    assert.equal(await other.acquire("key"), undefined);
    answer();
    for (let held = 0; held < 3; held++) await acquire(other);
    slow.onRequest(recall, () => ({ spent: 0, age: 0, returned: 0 }));
    assert.equal(await other.acquire("key"), undefined);
  });

  it("a worker that ends while it waits for those of another gets none, and they are there for the rest", async () => {
    const holder = fork();
    const recalled = new Promise<() => void>(asked => {
      holder.onRequest(recall, () => {
        return new Promise(resolve => asked(() => resolve({ spent: 0, age: 0, returned: 3 })));
      });
    });
    assert.equal((await holder.request(lend, all)).granted, 3);
    const dying = fork();
    const refused = assert.rejects(dying.request(lend, all));
    const answer = await recalled;
    workers[1]?.kill();
    await Promise.all([workers[1]?.worker.channel.closed, refused]);
    answer();
    const other = limiter();
    for (let held = 0; held < 3; held++) await acquire(other);
  });
});
