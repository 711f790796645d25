import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { freePort } from "../ports.js";

/** Why tests that need Redis are skipped; false where it is installed. */
export const noRedis: string | false =
  spawnSync("redis-server", ["--version"]).error === undefined ? false : "redis-server is not installed";

/** A Redis server of its own on a free loopback port, without persistence. */
export class RedisServer {
  #process: ChildProcess | undefined;
  private constructor(readonly port: number) {}

  static async start(): Promise<RedisServer> {
    const server = new RedisServer(await freePort());
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const options = ["--port", String(this.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    const process = spawn("redis-server", options, { stdio: ["ignore", "pipe", "ignore"] });
    this.#process = process;
    for await (const chunk of process.stdout) {
      if (String(chunk).includes("Ready to accept connections")) break;
    }
    process.stdout.resume();
  }

  /** Leaves its clients without an answer, but connected. */
  pause(): void {
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    this.#process = undefined;
    const exited = once(process, "exit");
    process.kill("SIGKILL");
    await exited;
  }
}
