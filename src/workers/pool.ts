import cluster, { type Worker } from "node:cluster";
import { Socket } from "node:net";
import { ChannelClosed, ProcessChannel } from "./channel.js";
import type { RequestTopic, Topic } from "./topic.js";

/** The file descriptor of the channel in a worker: after input, output, errors and Node.js's own channel. */
const channelFd = 4;

/** Milliseconds that a worker has to end after its drain. */
const endGraceMs = 10_000;

/** Milliseconds before a worker is started again that ended soon after its start, for the second time and at most. */
const backoffMs = { first: 200, longest: 10_000 } as const;

/** A worker that served for so long, milliseconds, is replaced at once. */
const settledMs = 10_000;

/** A worker, as the primary sees it. */
export interface WorkerProcess {
  /** From 1; the worker that replaces it has it too. */
  readonly id: number;
  readonly pid: number;
  /** Whether it replaces one that ended. */
  readonly replaces: boolean;
  readonly channel: ProcessChannel;
}

/** How a worker ended that should not have. */
export interface Ended {
  readonly worker: number;
  readonly pid: number;
  /** In words: `signal SIGKILL`, `exit code 1`. */
  readonly how: string;
  /** Why it could not start; undefined where it served. */
  readonly reason: unknown;
  /** Until another is started. */
  readonly restartInMs: number;
}

export interface PoolOptions {
  readonly count: number;
  /** The script that each worker runs; it calls `channelToPrimary`. */
  readonly script: string;
  /** Has a worker begin to serve. */
  start(worker: WorkerProcess): Promise<void>;
  /** A worker ended and is to be replaced. */
  ended(end: Ended): void;
  /** Reports the error of a message handler. */
  failed(error: unknown): void;
}

interface Slot {
  readonly id: number;
  /** Whether the next one replaces another. */
  replaces: boolean;
  /** How often in a row it ended before it was settled. */
  failures: number;
  process: Worker | undefined;
  serving: WorkerProcess | undefined;
}

/** A worker from its start to its end. */
interface Run {
  readonly worker: WorkerProcess;
  /** Rejects where it does not come to serve, once it has ended. */
  started: Promise<void>;
  /** How it ended. */
  readonly exited: Promise<string>;
  servedSince: number | undefined;
}

type WorkerHandler = (worker: WorkerProcess) => void;

/**
 * The workers of a primary: it starts them, replaces those that end, and reports joins and exits. There is one in a
 * process.
 */
export class WorkerPool {
  readonly #options: PoolOptions;
  readonly #slots: Slot[];
  readonly #forked = new Set<WorkerHandler>();
  readonly #joined = new Set<WorkerHandler>();
  readonly #left = new Set<WorkerHandler>();
  /** Ends the waits before workers are started again. */
  readonly #paused = new Set<() => void>();
  #closing = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.count }, (_, index) => ({
      id: index + 1,
      replaces: false,
      failures: 0,
      process: undefined,
      serving: undefined,
    }));
  }

  /**
   * Starts the first worker and, once it serves, the others: errors that concern all are found once.
   * @throws Error of the first of them that does not start; no worker is left then
   */
  async start(): Promise<void> {
    cluster.setupPrimary({
      exec: this.#options.script,
      args: [],
      stdio: ["inherit", "inherit", "inherit", "ipc", "pipe"],
    });
    try {
      const [first, ...others] = this.#slots;
      if (first !== undefined) await this.#startFirst(first);
      await Promise.all(others.map(slot => this.#startFirst(slot)));
    } catch (error) {
      await this.close(() => Promise.resolve());
      throw error;
    }
  }

  /** Those that serve now, by their number. */
  get serving(): readonly WorkerProcess[] {
    return this.#slots.flatMap(({ serving }) => serving ?? []);
  }

  /** Is called when a worker has been made, before anything arrives from it: to put handlers of its messages in place. */
  onForked(handle: WorkerHandler): void {
    this.#forked.add(handle);
  }

  /** Is called when a worker has begun to serve. */
  onJoined(handle: WorkerHandler): void {
    this.#joined.add(handle);
  }

  /** Is called when a worker that served has ended, before it is replaced. */
  onLeft(handle: WorkerHandler): void {
    this.#left.add(handle);
  }

  /** Sends a message to all that serve. */
  broadcast<T>(topic: Topic<T>, message: T, except?: WorkerProcess): void {
    for (const worker of this.serving) if (worker !== except) worker.channel.send(topic, message);
  }

  /** Sends a request to all that serve, each for itself: failures are returned beside the responses. */
  requestAll<Q, R>(
    topic: RequestTopic<Q, R>,
    message: Q,
    timeoutMs?: number,
  ): Promise<
    { readonly worker: WorkerProcess; readonly response: R | undefined; readonly error: unknown }[]
  > {
    return Promise.all(
      this.serving.map(async worker => {
        try {
          const response = await worker.channel.request(topic, message, timeoutMs);
          return { worker, response, error: undefined };
        } catch (error) {
          return { worker, response: undefined, error };
        }
      }),
    );
  }

  /**
   * Ends all workers.
   * @param stop has one finish its work; it is ended when that is done
   */
  async close(stop: (worker: WorkerProcess) => Promise<void>): Promise<void> {
    this.#closing = true;
    for (const resume of this.#paused) resume();
    await Promise.all(this.#slots.map(slot => this.#end(slot, stop)));
  }

  async #end(
    { process: child, serving }: Slot,
    stop: (worker: WorkerProcess) => Promise<void>,
  ): Promise<void> {
    if (child === undefined) return;
    const kill = (): void => void child.process.kill("SIGKILL");
    const exited = new Promise<void>(resolve => child.once("exit", () => resolve()));
    if (child.isDead()) return;
    if (serving === undefined) kill();
    else await stop(serving).catch(kill);
    const timer = setTimeout(kill, endGraceMs);
    await exited;
    clearTimeout(timer);
  }

  /** @throws Error (by rejection) where the worker does not come to serve */
  async #startFirst(slot: Slot): Promise<void> {
    const run = this.#run(slot);
    await run.started;
    void this.#keep(slot, run);
  }

  /** Replaces the worker of a slot whenever it ends. */
  async #keep(slot: Slot, first: Run): Promise<void> {
    for (let run = first; ; ) {
      const reason = await run.started.catch((error: unknown) => error);
      const how = await run.exited;
      if (this.#closing) return;
      const { id } = slot;
      const restartInMs = this.#backoff(slot, run);
      this.#options.ended({ worker: id, pid: run.worker.pid, how, reason, restartInMs });
      await this.#pause(restartInMs);
      if (this.#closing) return;
      run = this.#run(slot);
    }
  }

  #backoff(slot: Slot, { servedSince }: Run): number {
    if (servedSince !== undefined && performance.now() - servedSince >= settledMs) {
      slot.failures = 0;
      return 0;
    }
    const delay = slot.failures === 0 ? 0 : backoffMs.first * 2 ** (slot.failures - 1);
    slot.failures++;
    return Math.min(backoffMs.longest, delay);
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise(resolve => {
      const resume = (): void => {
        clearTimeout(timer);
        this.#paused.delete(resume);
        resolve();
      };
      const timer = setTimeout(resume, delayMs);
      this.#paused.add(resume);
    });
  }

  #run(slot: Slot): Run {
    const child = cluster.fork();
    const { process: system } = child;
    const socket = system.stdio[channelFd] as unknown as Socket;
    const channel = new ProcessChannel(socket, this.#options.failed);
    const worker = { id: slot.id, pid: system.pid ?? 0, replaces: slot.replaces, channel };
    slot.replaces = true;
    slot.process = child;
    for (const handle of this.#forked) handle(worker);
    const exited = new Promise<string>(resolve => {
      // Messages sent before its end are read first.
      const ended = (how: string): void => void channel.closed.then(() => resolve(how));
      child.once("exit", (code, signal) => ended(signal ? `signal ${signal}` : `exit code ${code}`));
      child.once("error", error => ended(error.message));
    }).finally(() => this.#leave(slot, worker));
    const run: Run = { worker, exited, started: Promise.resolve(), servedSince: undefined };
    run.started = this.#begin(slot, run).catch(async (error: unknown) => {
      // It has reported the reason, or ended without.
      system.kill("SIGKILL");
      const how = await exited;
      throw error instanceof ChannelClosed
        ? new Error(`worker ${slot.id} ended with ${how} before it served`)
        : error;
    });
    return run;
  }

  async #begin(slot: Slot, run: Run): Promise<void> {
    await this.#options.start(run.worker);
    run.servedSince = performance.now();
    slot.serving = run.worker;
    for (const handle of this.#joined) handle(run.worker);
  }

  #leave(slot: Slot, worker: WorkerProcess): void {
    slot.process = undefined;
    if (slot.serving !== worker) return;
    slot.serving = undefined;
    for (const handle of this.#left) handle(worker);
  }
}

/** In a worker: the channel to its primary. */
export function channelToPrimary(failed: (error: unknown) => void): ProcessChannel {
  return new ProcessChannel(new Socket({ fd: channelFd }), failed);
}
