import type { ProcessChannel } from "../workers/channel.js";
import type { WorkerPool, WorkerProcess } from "../workers/pool.js";
import { requestTopic, topic } from "../workers/topic.js";

/** How many events are remembered, so that one that comes again is not delivered again. */
const maxEvents = 10_000;

/** Runs the work of an id once. */
export interface Once {
  /**
   * Runs `work` unless it ran for the id before; a caller that comes while it runs shares its outcome. After a failure the
   * id is forgotten, so that it can be tried again.
   * @param id empty: not one
   * @returns false where nothing was left to do
   */
  run(id: string, work: () => Promise<void>): Promise<boolean>;
}

/** Events that were delivered, by their ids; they outlive reloads. @param channel in a worker: all workers share them */
export function deliveredEvents(channel: ProcessChannel | undefined): Once {
  return channel === undefined ? new IdempotencyCache(maxEvents) : sharedOnce(channel);
}

/** As long as the id is remembered: the last ids, and those under way. */
export class IdempotencyCache implements Once {
  readonly #limit: number;
  readonly #known = new Map<string, Promise<void>>();

  /** @param limit how many ids are remembered */
  constructor(limit: number) {
    this.#limit = limit;
  }

  async run(id: string, work: () => Promise<void>): Promise<boolean> {
    if (id === "") {
      await work();
      return true;
    }
    const known = this.#known.get(id);
    if (known !== undefined) {
      await known;
      return false;
    }
    const running = work();
    this.#known.set(id, running);
    if (this.#known.size > this.#limit) this.#forgetOldest();
    try {
      await running;
      return true;
    } catch (error) {
      if (this.#known.get(id) === running) this.#known.delete(id);
      throw error;
    }
  }

  #forgetOldest(): void {
    for (const id of this.#known.keys()) {
      this.#known.delete(id);
      return;
    }
  }
}

/** A worker's, to the primary: whether it is to deliver an event. The response waits where another is about to. */
const claimEvent = requestTopic<{ readonly id: string }, boolean>("livekit.claim");
const settleEvent = topic<{ readonly id: string; readonly delivered: boolean }>("livekit.settle");

/** In a worker: once for all of them. */
function sharedOnce(channel: ProcessChannel): Once {
  return {
    async run(id, work) {
      if (id !== "" && !(await channel.request(claimEvent, { id }))) return false;
      let delivered = false;
      try {
        await work();
        delivered = true;
      } finally {
        if (id !== "") channel.send(settleEvent, { id, delivered });
      }
      return true;
    },
  };
}

interface Delivery {
  readonly worker: WorkerProcess;
  done(): void;
  failed(error: Error): void;
}

/** In the primary: remembers which events workers have delivered. One whose worker ends meanwhile was not. */
export function rememberEvents(pool: Pick<WorkerPool, "onForked">): void {
  const once = new IdempotencyCache(maxEvents);
  const underWay = new Map<string, Delivery>();
  pool.onForked(worker => {
    const { channel } = worker;
    channel.onRequest(
      claimEvent,
      ({ id }) =>
        new Promise<boolean>((claimed, failed) => {
          const deliver = (): Promise<void> =>
            new Promise((done, failed) => {
              underWay.set(id, { worker, done, failed });
              claimed(true);
            });
          once.run(id, deliver).then(() => claimed(false), failed);
        }),
    );
    channel.onMessage(settleEvent, ({ id, delivered }) => {
      const delivery = underWay.get(id);
      if (delivery?.worker !== worker) return;
      underWay.delete(id);
      if (delivered) delivery.done();
      else delivery.failed(new Error("it could not be delivered"));
    });
    void channel.closed.then(() => {
      for (const [id, delivery] of underWay) {
        if (delivery.worker !== worker) continue;
        underWay.delete(id);
        delivery.failed(new Error("the worker that was delivering it has ended"));
      }
    });
  });
}
