import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { pinned } from "../process/cpus.js";
import type { LoadBounds, LoadOrder, LoadReply, LoadResult } from "./protocol.js";

/** Milliseconds that an order may take beyond the time that it names. */
const patience = 20_000;

/** Whom to connect to, and how often. */
export interface LoadTarget {
  /** One, or several to connect to in turn. */
  readonly port: number | readonly number[];
  /** True for TLS, whatever the certificate. */
  readonly encrypted?: boolean;
  readonly connections: number;
}

/** The load generator in its own process. It ends with this process at the latest. */
export class Load {
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(cpu: number | undefined) {
    const [command, args] = pinned(cpu, process.execPath, [join(import.meta.dirname, "load-process.js")]);
    this.#process = spawn(command, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#ended = once(this.#process, "close");
  }

  /**
   * Connects.
   * @param requests one, or several to send in turn
   * @throws Error where the server cannot be reached
   */
  async open(
    { port, encrypted = false, connections }: LoadTarget,
    requests: Buffer | readonly Buffer[],
  ): Promise<void> {
    const all = Buffer.isBuffer(requests) ? [requests] : requests;
    const texts = all.map(request => request.toString("latin1"));
    const ports = typeof port === "number" ? [port] : port;
    await this.#order({ kind: "open", ports, encrypted, connections, requests: texts }, 0);
  }

  /** Sends on all connections. @throws Error at the first answer that is not 200, or when a connection breaks */
  async run(bounds: LoadBounds): Promise<LoadResult> {
    const reply = await this.#order({ kind: "run", ...bounds }, bounds.milliseconds);
    if (reply.kind !== "result") throw new Error("the load generator gave no result");
    return reply;
  }

  async close(): Promise<void> {
    await this.#order({ kind: "close" }, 0);
  }

  async stop(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended;
  }

  async #order(order: LoadOrder, milliseconds: number): Promise<LoadReply> {
    const late = AbortSignal.timeout(milliseconds + patience);
    const message = once(this.#process, "message", { signal: late });
    this.#process.send(order);
    const gone = this.#ended.then(() => {
      throw new Error("the load generator ended");
    });
    const [reply] = (await Promise.race([message, gone])) as [LoadReply];
    if (reply.kind === "failed") throw new Error(`load: ${reply.message}`);
    return reply;
  }
}
