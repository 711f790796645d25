import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);
const source = join(import.meta.dirname, "cpp/main.cpp");
/** What Debian's libgrpc++ needs is not all named by its own libraries. */
const libraries = ["-Wl,--copy-dt-needed-entries", "-lgrpc++", "-lgrpc", "-lgpr"];

/** Compiles the backend to a file. Gives why it cannot be had on this machine; undefined where it can. */
export async function buildCppPeer(file: string): Promise<string | undefined> {
  try {
    await run("g++", ["--version"]);
  } catch {
    return "g++ is not installed";
  }
  try {
    await run("g++", [
      "-std=c++17",
      "-E",
      "-include",
      "grpcpp/grpcpp.h",
      "-x",
      "c++",
      "-o",
      "/dev/null",
      "/dev/null",
    ]);
  } catch {
    return "the headers of gRPC for C++ (libgrpc++-dev) are not installed";
  }
  await run("g++", ["-std=c++17", "-o", file, source, ...libraries]);
  return undefined;
}

/** A C++ backend that runs. */
export interface CppPeer {
  /** host:port */
  readonly address: string;
  close(): Promise<void>;
}

/** Starts a compiled backend; it ends with this process at the latest. */
export async function startCppPeer(file: string): Promise<CppPeer> {
  const child = spawn(file, { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const lines = createInterface(child.stdout);
  const line = once(lines, "line").then(([text]) => String(text));
  const port = await Promise.race([line, exited.then(() => "")]);
  if (port === "") throw new Error("the C++ backend ended before it listened");
  return {
    address: `127.0.0.1:${port}`,
    close: async () => {
      child.stdin.end();
      await exited;
      lines.close();
    },
  };
}
