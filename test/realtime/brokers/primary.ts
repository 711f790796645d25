import type { HistoryLimits } from "../../../src/realtime/brokers/broker.js";
import { WorkerBroker } from "../../../src/realtime/brokers/worker-broker.js";
import { WorkerRooms } from "../../../src/realtime/brokers/worker-rooms.js";
import type { WorkerProcess } from "../../../src/workers/pool.js";
import { workerInProcess } from "../../workers/in-process.js";

/** A primary whose workers are in this process. */
export class Primary {
  readonly serving: WorkerProcess[] = [];
  readonly #forked: ((worker: WorkerProcess) => void)[] = [];
  readonly #left: ((worker: WorkerProcess) => void)[] = [];
  readonly rooms: WorkerRooms;

  constructor(history: HistoryLimits, leaseMs?: number) {
    this.rooms = new WorkerRooms(this, history, leaseMs);
  }

  onForked(handle: (worker: WorkerProcess) => void): void {
    this.#forked.push(handle);
  }

  onLeft(handle: (worker: WorkerProcess) => void): void {
    this.#left.push(handle);
  }

  fork(history: HistoryLimits): { readonly broker: WorkerBroker; kill(): void } {
    const { worker, open, kill } = workerInProcess(this.serving.length + 1);
    for (const handle of this.#forked) handle(worker);
    this.serving.push(worker);
    void worker.channel.closed.then(() => {
      this.serving.splice(this.serving.indexOf(worker), 1);
      for (const handle of this.#left) handle(worker);
    });
    return { broker: new WorkerBroker(open(), history), kill };
  }
}
