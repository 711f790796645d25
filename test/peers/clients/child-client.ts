import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { type KindsClient, tag } from "./call.js";
import type { KindsSchema } from "./schema.js";

/** What the other process says of a call; bytes are in base64. */
interface Outcome {
  readonly responses: readonly string[];
  readonly code: number;
  readonly message: string;
  readonly details?: string;
  readonly initial?: string;
  readonly trailing?: string;
}

/**
 * A client in another language: a process that reads a call from each line of its input, makes all calls at once, and
 * writes a line for each that is over. Messages are bytes to it.
 */
export function childClient(
  program: string,
  args: readonly string[],
  schema: KindsSchema,
  begun: () => Promise<void>,
): KindsClient {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const waiting = new Map<number, (outcome: Outcome) => void>();
  createInterface(child.stdout).on("line", line => {
    const { id, ...outcome } = JSON.parse(line) as Outcome & { id: number };
    waiting.get(id)?.(outcome);
    waiting.delete(id);
  });
  const tell = (line: object): void => void child.stdin.write(`${JSON.stringify(line)}\n`);
  let last = 0;
  return {
    call: async ({ method, requests, timeoutMs = 0, cancelAfter = -1 }) => {
      const id = ++last;
      const over = new Promise<Outcome>((resolve, reject) => {
        waiting.set(id, resolve);
        void exited.then(() => reject(new Error(`${program} has ended`)));
      });
      if (cancelAfter === 0) void begun().then(() => tell({ cancel: id }));
      tell({
        id,
        method,
        requests: requests.map(each => Buffer.from(schema.encodeRequest(each)).toString("base64")),
        timeout_ms: timeoutMs,
        cancel_after: cancelAfter,
        tag,
      });
      const { responses, code, message, details = "", initial = "", trailing = "" } = await over;
      return {
        responses: responses.map(each => schema.decodeResponse(Buffer.from(each, "base64"))),
        code,
        message,
        reason: details === "" ? undefined : schema.reasonOf(Buffer.from(details, "base64")),
        initial: initial === "" ? undefined : initial,
        trailing: trailing === "" ? undefined : trailing,
      };
    },
    close: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
