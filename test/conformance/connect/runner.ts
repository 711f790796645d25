import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { EngineName } from "../../engine.js";
import { framed, Gateways, readMessage } from "./gateways.js";

const version = "v1.0.7";
const module = "connectrpc.com/conformance";
const cache = join(import.meta.dirname, "../../../node_modules/.cache/connect-conformance");

export interface ConnectSuite {
  readonly runner: string;
  readonly grpcServer: string;
  /** The folder of the suite's .proto files. */
  readonly protos: string;
}

/** The suite where it was built before; else what is missing, as text. */
export function presentConnectSuite(): ConnectSuite | string {
  const protos = protoFolder();
  if (protos === undefined) return "Go is not there";
  const suite = { runner: join(cache, "connectconformance"), grpcServer: join(cache, "grpcserver"), protos };
  return existsSync(suite.runner) && existsSync(suite.grpcServer) && existsSync(protos)
    ? suite
    : `the suite of ${module} is not built`;
}

/** The same, built where it was not. @throws Error where the Go module cannot be had */
export function obtainConnectSuite(): ConnectSuite | string {
  const present = presentConnectSuite();
  if (typeof present !== "string" || protoFolder() === undefined) return present;
  mkdirSync(cache, { recursive: true });
  const env = { ...process.env, GOBIN: cache };
  for (const command of ["connectconformance", "grpcserver"])
    execFileSync("go", ["install", `${module}/cmd/${command}@${version}`], { env, stdio: "inherit" });
  return presentConnectSuite();
}

function protoFolder(): string | undefined {
  try {
    const folder = execFileSync("go", ["env", "GOMODCACHE"], { encoding: "utf8" }).trim();
    return join(folder, `${module}@${version}`, "proto");
  } catch {
    return undefined;
  }
}

/** What the suite starts as the server under test: it hands the suite's question to this process. */
const relay = `
const socket = require("node:net").connect(Number(process.argv[1]), "127.0.0.1");
process.stdin.pipe(socket, { end: false });
socket.pipe(process.stdout);
`;

/**
 * @param engine that the gateways listen with
 * @param more arguments of the suite's runner, such as --run
 */
export async function runConnectSuite(
  { runner, grpcServer, protos }: ConnectSuite,
  engine: EngineName,
  more: readonly string[] = [],
): Promise<{ readonly passed: boolean; readonly output: string }> {
  const gateways = await Gateways.start(protos, grpcServer, engine);
  const server = createServer(async socket => {
    socket.on("error", () => socket.destroy());
    socket.write(framed(await gateways.serve(await readMessage(socket))));
  });
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  try {
    const child = spawn(runner, [
      "--mode",
      "server",
      "--conf",
      join(import.meta.dirname, engine === "uws" ? "suite-uws.yaml" : "suite.yaml"),
      "--known-failing",
      `@${join(import.meta.dirname, "known-failing.txt")}`,
      ...(engine === "uws" ? ["--known-flaky", `@${join(import.meta.dirname, "known-flaky-uws.txt")}`] : []),
      ...more,
      "--",
      process.execPath,
      "-e",
      relay,
      String(port),
    ]);
    let output = "";
    const take = (chunk: Buffer): void => {
      output += chunk.toString();
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    const code = await new Promise<number | null>(resolve => child.on("close", resolve));
    return { passed: code === 0, output };
  } finally {
    server.close();
    await gateways.close();
  }
}
