import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { ProcessChannel } from "../../src/workers/channel.js";
import type { WorkerProcess } from "../../src/workers/pool.js";

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

/** A worker that is in this process. */
export interface InProcess {
  /** As its primary sees it. */
  readonly worker: WorkerProcess;
  /** Its own end of the channel; to be opened after handlers are in place on the other. */
  open(): ProcessChannel;
  kill(): void;
}

export function workerInProcess(id: number): InProcess {
  const [near, far] = [new End(), new End()];
  near.other = far;
  far.other = near;
  const channel = new ProcessChannel(near as unknown as Socket, failed);
  return {
    worker: { id, pid: id, replaces: false, channel },
    open: () => new ProcessChannel(far as unknown as Socket, failed),
    kill: () => {
      near.destroy();
      far.destroy();
    },
  };
}
