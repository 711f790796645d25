import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, untilAccepts } from "../../ports.js";

/** A server of the tests' own, on a port that stays the same when it is started again. */
export interface TestServer {
  readonly port: number;
  /** Kills it, as a crash would. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Removes what it keeps, between `kill` and `start`. */
  empty(): void;
  /** Keeps a copy of what it keeps, between `kill` and `start`, and puts that in its place. */
  backUp(): void;
  restore(): void;
  /** Stops its process without ending connections; `resume` lets it go on. */
  suspend(): void;
  resume(): void;
  close(): Promise<void>;
}

/** Why tests that need a program are skipped; false where it is there. */
export function missing(program: string): string | false {
  const found = spawnSync(program, ["--version"], { stdio: "ignore" }).error === undefined;
  return found ? false : `${program} is not installed`;
}

/**
 * @param durable false: it keeps what was there at its last `SAVE`
 * @param options further ones
 */
export async function startRedis(durable = true, options: readonly string[] = []): Promise<TestServer> {
  return startServer("redis-server", (port, folder) => [
    ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder],
    ["--save", "", ...(durable ? ["--appendonly", "yes", "--appendfsync", "always"] : [])],
    options,
  ]);
}

/** @param options further ones */
export async function startNats(jetstream = true, options: readonly string[] = []): Promise<TestServer> {
  const monitor = await freePort();
  const server = await startServer("nats-server", (port, folder) => [
    ["-a", "127.0.0.1", "-p", String(port), "-m", String(monitor)],
    jetstream ? ["-js", "-sd", folder] : [],
    options,
  ]);
  monitors.set(server.port, monitor);
  return server;
}

/** The ports where NATS servers report their state, by their ports. */
const monitors = new Map<number, number>();

/** How many subscriptions a NATS server has to exactly that subject. */
export async function subscriptions(port: number, subject: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${monitors.get(port)}/subsz?subs=1&limit=10000`);
  const { subscriptions_list: list } = (await answer.json()) as { subscriptions_list: { subject: string }[] };
  return list.filter(each => each.subject === subject).length;
}

async function startServer(
  program: string,
  args: (port: number, folder: string) => readonly (readonly string[])[],
): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), "protogate-broker-"));
  const port = await freePort();
  let child: ChildProcess | undefined;
  const kill = async (): Promise<void> => {
    if (child === undefined) return;
    const over = once(child, "exit");
    child.kill("SIGKILL");
    child = undefined;
    await over;
  };
  const start = async (): Promise<void> => {
    child = spawn(program, args(port, folder).flat(), { stdio: "ignore" });
    await untilAccepts(port, once(child, "exit"));
  };
  await start();
  return {
    port,
    kill,
    start,
    empty: () => {
      rmSync(folder, { recursive: true });
      mkdirSync(folder);
    },
    backUp: () => {
      rmSync(`${folder}-backup`, { recursive: true, force: true });
      cpSync(folder, `${folder}-backup`, { recursive: true });
    },
    restore: () => {
      rmSync(folder, { recursive: true });
      cpSync(`${folder}-backup`, folder, { recursive: true });
    },
    suspend: () => void child?.kill("SIGSTOP"),
    resume: () => void child?.kill("SIGCONT"),
    close: async () => {
      child?.kill("SIGCONT");
      await kill();
      rmSync(folder, { recursive: true });
      rmSync(`${folder}-backup`, { recursive: true, force: true });
    },
  };
}

/** A wire to a server that can be cut. */
export interface Wire {
  readonly port: number;
  cut(): Promise<void>;
  mend(): Promise<void>;
  /** Resolves once a short text has passed to the server. */
  passed(text: string): Promise<void>;
  close(): Promise<void>;
}

export async function startWire(to: number): Promise<Wire> {
  const sockets = new Set<Socket>();
  const looks = new Set<(chunk: Buffer) => void>();
  let server: Server | undefined;
  const cut = async (): Promise<void> => {
    const closing = server;
    server = undefined;
    if (closing === undefined) return;
    const closed = new Promise(resolve => closing.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  const listen = async (port: number): Promise<number> => {
    const listening = createServer(near => {
      const far = connect(to, "127.0.0.1");
      for (const socket of [near, far]) {
        sockets.add(socket);
        socket.on("error", () => undefined);
        socket.on("close", () => {
          sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
      near.on("data", (chunk: Buffer) => {
        for (const look of looks) look(chunk);
      });
      near.pipe(far);
      far.pipe(near);
    });
    await new Promise<void>(resolve => listening.listen(port, "127.0.0.1", resolve));
    server = listening;
    return (listening.address() as { port: number }).port;
  };
  const port = await listen(0);
  return {
    port,
    cut,
    mend: async () => {
      await listen(port);
    },
    passed: text =>
      new Promise(resolve => {
        const look = (chunk: Buffer): void => {
          if (!chunk.includes(text)) return;
          looks.delete(look);
          // Behind the pipe.
          setImmediate(resolve);
        };
        looks.add(look);
      }),
    close: cut,
  };
}
