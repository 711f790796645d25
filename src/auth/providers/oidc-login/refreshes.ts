import type { ProcessChannel } from "../../../workers/channel.js";
import type { WorkerPool, WorkerProcess } from "../../../workers/pool.js";
import { requestTopic, topic } from "../../../workers/topic.js";
import type { RefreshOutcome, SessionRefreshes } from "../../provider.js";
import { TokenCache } from "../token-provider.js";

/** Outcomes that are remembered, each of as many bytes as a cookie. */
const maxOutcomes = 2000;
/** Milliseconds for which a worker waits for a refresh of another one. */
const maxWaitMs = 30_000;

type Refresh = () => Promise<RefreshOutcome>;

/** One for the process; outlives reloads. @param channel in a worker: all workers share the outcomes */
export function sessionRefreshes(channel?: ProcessChannel): SessionRefreshes {
  return new Refreshes(channel === undefined ? (_, refresh) => refresh() : sharing(channel));
}

class Refreshes implements SessionRefreshes {
  readonly #recent = new TokenCache<RefreshOutcome>(maxOutcomes);
  readonly #pending = new Map<string, Promise<RefreshOutcome>>();
  readonly #make: (key: string, refresh: Refresh) => Promise<RefreshOutcome>;

  constructor(make: (key: string, refresh: Refresh) => Promise<RefreshOutcome>) {
    this.#make = make;
  }

  async once(key: string, now: () => number, refresh: Refresh): Promise<RefreshOutcome> {
    const known = this.#recent.get(key, now()) ?? this.#pending.get(key);
    if (known !== undefined) return known;
    const pending = this.#make(key, refresh)
      .then(outcome => {
        this.#recent.set(key, outcome, now() + outcome.keepMs);
        return outcome;
      })
      .finally(() => this.#pending.delete(key));
    this.#pending.set(key, pending);
    return pending;
  }
}

/** A worker's, to the primary: the outcome of a refresh, or null where the worker is to make it. Waits for one under way. */
const claimRefresh = requestTopic<{ readonly key: string }, RefreshOutcome | null>("auth.claim-refresh");
const settleRefresh = topic<{ readonly key: string; readonly outcome: RefreshOutcome }>(
  "auth.settle-refresh",
);

/** In a worker: one worker makes the refresh. */
function sharing(channel: ProcessChannel) {
  const claim = (key: string) => channel.request(claimRefresh, { key }, maxWaitMs);
  return async (key: string, refresh: Refresh): Promise<RefreshOutcome> => {
    // A claim fails where the worker that was to make it has ended; the next one is for another to make.
    const known = await claim(key)
      .catch(() => claim(key))
      .catch(() => null);
    if (known !== null) return known;
    const outcome = await refresh();
    channel.send(settleRefresh, { key, outcome });
    return outcome;
  };
}

/** In the primary: has each refresh made by one worker. */
export function shareRefreshes(pool: Pick<WorkerPool, "onForked">): void {
  const refreshes = sessionRefreshes();
  const underWay = new Map<
    string,
    { readonly worker: WorkerProcess; done(outcome: RefreshOutcome): void; failed(error: Error): void }
  >();
  pool.onForked(worker => {
    const { channel } = worker;
    channel.onRequest(
      claimRefresh,
      ({ key }) =>
        new Promise<RefreshOutcome | null>((claimed, refused) => {
          const made = (): Promise<RefreshOutcome> =>
            new Promise((done, failed) => {
              underWay.set(key, { worker, done, failed });
              claimed(null);
            });
          refreshes.once(key, Date.now, made).then(claimed, refused);
        }),
    );
    channel.onMessage(settleRefresh, ({ key, outcome }) => {
      const refresh = underWay.get(key);
      if (refresh?.worker !== worker) return;
      underWay.delete(key);
      refresh.done(outcome);
    });
    void channel.closed.then(() => {
      for (const [key, refresh] of underWay) {
        if (refresh.worker !== worker) continue;
        underWay.delete(key);
        refresh.failed(new Error("the worker that was refreshing has ended"));
      }
    });
  });
}
