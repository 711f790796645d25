import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import type { Duplex, Readable } from "node:stream";
import { pinned } from "./cpus.js";

/** A program to run. */
export interface Command {
  /** For messages to people. */
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cpu: number | undefined;
}

/** Milliseconds that a program gets to listen or to answer. */
const patience = 20_000;

/**
 * A process of the bench. Its descriptor 3 is a socket on which it answers questions, a line for a line, and it ends
 * when the bench closes its end.
 */
export class Child {
  readonly name: string;
  /** Resolves when the process is gone. */
  readonly ended: Promise<void>;
  readonly #process: ChildProcess;
  readonly #control: Duplex;
  readonly #answers: AsyncIterator<string>;
  readonly #output: Interface;

  constructor({ name, file, args, env, cpu }: Command) {
    const [command, all] = pinned(cpu, file, args);
    this.name = name;
    this.#process = spawn(command, all, {
      env: { ...process.env, ...env, NODE_ENV: "production" },
      stdio: ["ignore", "pipe", "inherit", "pipe"],
    });
    this.ended = new Promise(resolve => {
      this.#process.once("close", () => resolve());
      this.#process.once("error", () => resolve());
    });
    this.#control = this.#process.stdio[3] as Duplex;
    this.#control.on("error", () => undefined);
    this.#answers = createInterface({ input: this.#control })[Symbol.asyncIterator]();
    this.#output = createInterface({ input: this.#process.stdout as Readable });
  }

  /** @throws Error where the program could not be started */
  get pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw new Error(`${this.name} could not be started`);
    return pid;
  }

  /**
   * The port in its line `listening PORT`.
   * @throws Error where it ends, or takes too long, before it says that
   */
  async listening(): Promise<number> {
    const [, port] = await this.inTime(this.#said(/^listening (\d+)$/), "did not listen");
    return Number(port);
  }

  /** Resolves at its line `ready`. @throws Error where it ends, or takes too long, before it says that */
  async ready(): Promise<void> {
    await this.inTime(this.#said(/^ready$/), "was not ready");
  }

  #said(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise(resolve => {
      this.#output.on("line", line => {
        const found = pattern.exec(line);
        if (found !== null) resolve(found);
      });
    });
  }

  /** Bytes allocated since it began, on the heap of its language. */
  async allocated(): Promise<number> {
    return Number(await this.ask("allocated"));
  }

  /** Seconds that JavaScript stood still for garbage collection since the first such question (programs on Node only). */
  async collected(): Promise<number> {
    return Number(await this.ask("collected")) / 1e6;
  }

  /** Bytes of the JavaScript heap that are in use once all garbage is collected (programs on Node only). */
  async heapInUse(): Promise<number> {
    return Number(await this.ask("heap"));
  }

  /** Writes a CPU profile of what it does while `work` runs (programs on Node only). */
  async profile(file: string, work: () => Promise<unknown>): Promise<void> {
    await this.ask("profile");
    await work();
    await this.ask(`profile ${file}`);
  }

  /** The same of what it allocates on the JavaScript heap, garbage included. */
  async allocations(file: string, work: () => Promise<unknown>): Promise<void> {
    await this.ask("allocations");
    await work();
    await this.ask(`allocations ${file}`);
  }

  /** @throws Error where the process ends first, or time runs out; `what` tells in words what did not happen */
  async inTime<T>(promise: Promise<T>, what: string, milliseconds = patience): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`${this.name} ${what} within ${milliseconds} ms`)),
        milliseconds,
      );
    });
    const dead = this.ended.then(() => {
      throw new Error(`${this.name} ended: it ${what}`);
    });
    try {
      return await Promise.race([promise, late, dead]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Its line in answer to a line, within so many milliseconds. */
  async ask(question: string, milliseconds = patience): Promise<string> {
    this.#control.write(`${question}\n`);
    const { value } = await this.inTime(this.#answers.next(), "did not answer", milliseconds);
    return value;
  }

  /** Asks it to end, and waits until it has. */
  async drain(): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.ended;
  }

  async stop(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.ended;
  }
}
