import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Context } from "../group.js";
import { root } from "../repository.js";
import { type Server, type Site, startProgram, startScript } from "../stage/servers.js";
import type { EntrantName } from "./entrants.js";

/** A server that is measured. */
export interface Subject {
  readonly name: string;
  readonly entrant: EntrantName;
  /** The file of its program; absent: a script of the bench. */
  readonly program?: string;
  /** Root of another checkout whose bench starts it. */
  readonly checkout?: string | undefined;
}

export const own: Subject = { name: "protogate", entrant: "protogate" };

/** The variable `CENTRIFUGO` names its binary. */
export function centrifugo(note: Context["note"]): Subject[] {
  const program = process.env.CENTRIFUGO ?? "";
  if (program !== "" && existsSync(program)) return [{ name: "Centrifugo", entrant: "centrifugo", program }];
  const why =
    program === "" ? "does not name its binary (bench/README.md)" : `names ${program}, which is not there`;
  note(`Centrifugo is skipped: the variable CENTRIFUGO ${why}`);
  return [];
}

export interface ServerOptions {
  /** Messages of a room that are kept. */
  readonly history?: number;
  /** The server that gateways share, `redis://` or `nats://`; absent: rooms of one process. */
  readonly broker?: string;
}

/** As it comes, without tokens. */
async function startCentrifugo(
  site: Site,
  program: string,
  { history = 0, broker }: ServerOptions,
): Promise<Server> {
  const folder = join(root, "node_modules/.cache/protogate-bench/centrifugo");
  mkdirSync(folder, { recursive: true });
  return startProgram(site, "centrifugo", program, port => {
    const file = join(folder, `${port}.json`);
    const configuration = {
      http_server: { address: "127.0.0.1", port },
      // Its pings may lie in one frame with messages, where members do not see them.
      client: { insecure: true, ping_interval: "1h" },
      uni_sse: { enabled: true },
      ...(history > 0 && {
        channel: {
          without_namespace: { history_size: history, history_ttl: "1h", force_recovery: true },
          namespaces: [{ name: "noticed", join_leave: true, force_push_join_leave: true }],
        },
      }),
      ...(broker !== undefined && {
        engine: { type: "redis", redis: { address: broker } },
      }),
      log: { level: "error" },
    };
    writeFileSync(file, JSON.stringify(configuration));
    return ["--config", file];
  });
}

export function startServer(
  site: Site,
  { entrant, checkout, program }: Subject,
  options: ServerOptions = {},
): Promise<Server> {
  return program === undefined
    ? startScript(
        site,
        "realtime/server",
        { ENTRANT: entrant, ...(options.broker !== undefined && { BROKER: options.broker }) },
        checkout,
      )
    : startCentrifugo(site, program, options);
}

/** A server by which gateways share their rooms. What it keeps goes when it has ended. */
export async function startBroker(site: Site, kind: "redis" | "nats"): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), "protogate-bench-"));
  const server = await startProgram(site, kind, `${kind}-server`, port =>
    kind === "redis"
      ? ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--logfile", "log"]
      : ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", folder, "-l", join(folder, "log")],
  );
  void server.child.ended.then(() => rmSync(folder, { recursive: true, force: true }));
  return server;
}
