import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ticksPerSecond = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** A server of the bench in a process of its own, so that its CPU can be told from the load's. */
export class Child {
  readonly #process: ChildProcess;

  private constructor(
    process: ChildProcess,
    readonly port: number,
  ) {
    this.#process = process;
  }

  /** Starts `bench/<name>.ts` and waits for its line `listening PORT`. */
  static async start(name: string, env: Readonly<Record<string, string>>): Promise<Child> {
    const script = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
    const child = spawn(process.execPath, ["--import", "tsx", script], {
      env: { ...process.env, ...env, NODE_ENV: "production" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    for await (const line of createInterface({ input: child.stdout })) {
      const port = /^listening (\d+)$/.exec(line)?.[1];
      if (port !== undefined) return new Child(child, Number(port));
    }
    throw new Error(`${name} ended before it listened`);
  }

  /** User and system CPU time so far, seconds, to a clock tick (Linux). */
  cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.#process.pid}/stat`, "utf8");
    // The command may hold spaces; what follows its closing bracket does not. utime and stime are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  }

  /** Resident memory, bytes. */
  rss(): number {
    const status = readFileSync(`/proc/${this.#process.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
  }

  stop(): Promise<void> {
    return new Promise(resolve => {
      this.#process.once("exit", () => resolve());
      this.#process.kill("SIGKILL");
    });
  }
}
