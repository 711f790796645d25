import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { accepts } from "./ports.js";

/**
 * Starts a proxy in the foreground, and resolves when it takes connections at `host` and `port`.
 * @returns ends it, and resolves when it has ended
 */
export async function startProxy(
  [command, ...args]: readonly [command: string, ...args: string[]],
  host: string,
  port: number,
): Promise<() => Promise<void>> {
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.on("data", (data: Buffer) => {
    errors += data;
  });
  let over = false;
  const exited = once(child, "exit").then(() => {
    over = true;
  });
  while (!(await accepts(port, host))) assert.ok(!over, `${command} has ended: ${errors}`);
  return () => {
    child.kill("SIGTERM");
    return exited;
  };
}
