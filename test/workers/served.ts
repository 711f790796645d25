import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compiledMain } from "../compile.js";
import { echoProto } from "../gateway/echo.js";

type Line = Readonly<Record<string, unknown>>;

/** Compiled: every worker would load it anew through tsx. */
const compiled = compiledMain();

/** `protogate serve` in a process of its own. */
export interface Served {
  /** The log so far. */
  readonly log: readonly Line[];
  /** What it has written for people. */
  readonly errors: () => string;
  /** Resolves with the first line of the log, old or new, that fits, or rejects when the process ends before. */
  logged(fits: (line: Line) => boolean): Promise<Line>;
  /** @param proto default the one that it has */
  write(yaml: string, proto?: string): void;
  signal(name: NodeJS.Signals): void;
  readonly pid: number;
  /** Its exit code. */
  readonly ended: Promise<number | null>;
  /** Ends it and removes its files. */
  close(): Promise<void>;
}

const protos = "[{ protos: ./echo.proto }]";

/** How the process is started. */
export interface ServeOptions {
  /** The script of another build than that of the tests. */
  readonly main?: string;
  /** Of Node.js. */
  readonly nodeOptions?: readonly string[];
  /** A command that runs it, with its arguments. */
  readonly within?: readonly string[];
  /** `descriptors` of the configuration, in flow style; default the proto. */
  readonly descriptors?: string;
  /** A file for its standard output, whose lines are then not read. */
  readonly output?: number;
}

/**
 * @param yaml everything but `descriptors`
 * @param proto what it serves
 */
export function serve(
  yaml: string,
  proto = echoProto,
  { main = compiled, nodeOptions = [], within = [], output, descriptors = protos }: ServeOptions = {},
): Served {
  const folder = mkdtempSync(join(tmpdir(), "protogate-workers-"));
  const write = (text: string, protos = proto): void => {
    writeFileSync(join(folder, "echo.proto"), protos);
    writeFileSync(join(folder, "gateway.yaml"), `descriptors: ${descriptors}\n${text}`);
  };
  write(yaml);
  const node = [process.execPath, ...nodeOptions, main, "serve", "-c", join(folder, "gateway.yaml")];
  const [command = "", ...args] = [...within, ...node];
  const child: ChildProcess = spawn(command, args, { stdio: ["ignore", output ?? "pipe", "pipe"] });
  const log: Line[] = [];
  const waiting = new Set<() => void>();
  let rest = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) log.push(JSON.parse(line) as Line);
    for (const look of waiting) look();
  });
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  let over = false;
  const ended = once(child, "close").then(([code]) => {
    over = true;
    for (const look of waiting) look();
    return code as number | null;
  });
  return {
    log,
    errors: () => errors,
    logged: fits =>
      new Promise((found, failed) => {
        const look = (): void => {
          const line = log.find(fits);
          if (line === undefined && !over) return;
          waiting.delete(look);
          if (line !== undefined) found(line);
          else failed(new Error(`it ended: ${errors}`));
        };
        waiting.add(look);
        look();
      }),
    write,
    signal: name => void child.kill(name),
    pid: child.pid ?? 0,
    ended,
    close: async () => {
      if (!over) child.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

export interface Response {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** One request on a connection of its own. Rejects where the connection ends before the response. */
export function get(url: string, method = "GET"): Promise<Response> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent: false, method }, response => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.once("error", reject);
      response.once("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
    });
    outgoing.once("error", reject);
    outgoing.end();
  });
}
