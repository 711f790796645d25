import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { HistoryLimits } from "../../../src/realtime/brokers/broker.js";
import { WorkerBroker } from "../../../src/realtime/brokers/worker-broker.js";
import { WorkerRooms } from "../../../src/realtime/brokers/worker-rooms.js";
import { ProcessChannel } from "../../../src/workers/channel.js";
import type { WorkerProcess } from "../../../src/workers/pool.js";

/** One end of a connection within the process. */
class End extends Duplex {
  other: End | undefined;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    setImmediate(() => {
      this.other?.push(chunk);
      done();
    });
  }

  override _final(done: () => void): void {
    this.other?.push(null);
    done();
  }
}

const failed = (error: unknown): void => {
  throw error;
};

/** A primary whose workers are in this process. */
export class Primary {
  readonly serving: WorkerProcess[] = [];
  readonly #forked: ((worker: WorkerProcess) => void)[] = [];
  readonly #left: ((worker: WorkerProcess) => void)[] = [];
  readonly rooms: WorkerRooms;

  constructor(history: HistoryLimits) {
    this.rooms = new WorkerRooms(this, history);
  }

  onForked(handle: (worker: WorkerProcess) => void): void {
    this.#forked.push(handle);
  }

  onLeft(handle: (worker: WorkerProcess) => void): void {
    this.#left.push(handle);
  }

  fork(history: HistoryLimits): { readonly broker: WorkerBroker; kill(): void } {
    const [near, far] = [new End(), new End()];
    near.other = far;
    far.other = near;
    const channel = new ProcessChannel(near as unknown as Socket, failed);
    const id = this.serving.length + 1;
    const worker = { id, pid: id, replaces: false, channel };
    for (const handle of this.#forked) handle(worker);
    this.serving.push(worker);
    void channel.closed.then(() => {
      this.serving.splice(this.serving.indexOf(worker), 1);
      for (const handle of this.#left) handle(worker);
    });
    const broker = new WorkerBroker(new ProcessChannel(far as unknown as Socket, failed), history);
    return {
      broker,
      kill: () => {
        near.destroy();
        far.destroy();
      },
    };
  }
}
