import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const module = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible";

/**
 * The case that a port with HTTP/1.1 beside HTTP/2 in plain text cannot pass: what is no preface is there a request of
 * HTTP/1.1 that is not valid. It gets 400 and the end of the connection; h2spec takes the former for a frame.
 */
export const notForSharedPort = "http2/3.5/2";

export interface SpecResult {
  /** Cases that were run. */
  readonly run: number;
  /** Those that failed, as h2spec numbers them, `http2/3.5/2`. */
  readonly failed: readonly string[];
  readonly output: string;
}

/** Where h2spec is: named by `H2SPEC`, or built from its Go module; a text: why it is not. */
export function obtainH2spec(): { readonly file: string } | string {
  const named = process.env.H2SPEC;
  if (named !== undefined && named !== "") return { file: named };
  const folder = join(import.meta.dirname, "../../../node_modules/.cache/go");
  const file = join(folder, "h2spec");
  if (existsSync(file)) return { file };
  if (spawnSync("go", ["version"]).error !== undefined)
    return "h2spec is not there, and Go, which could build it, neither";
  try {
    execFileSync("go", ["install", module], { env: { ...process.env, GOBIN: folder }, stdio: "pipe" });
    return { file };
  } catch (error) {
    return `h2spec could not be built: ${String((error as { stderr?: unknown }).stderr ?? error)}`;
  }
}

/** Runs all cases, the strict ones too, against a server on this machine. */
export async function runH2spec(file: string, port: number, tls: boolean): Promise<SpecResult> {
  const report = join(tmpdir(), `h2spec-${process.pid}-${port}.xml`);
  const options = ["-h", "127.0.0.1", "-p", String(port), "-o", "5", "-S", "-j", report];
  const output = await new Promise<string>((resolve, reject) => {
    const child = spawn(file, tls ? [...options, "-t", "-k"] : options);
    let text = "";
    child.stdout.setEncoding("utf8").on("data", chunk => {
      text += chunk;
    });
    child.on("error", reject);
    child.on("close", () => resolve(text));
  });
  const xml = readFileSync(report, "utf8");
  rmSync(report);
  return { ...read(xml), output };
}

/** JUnit's form: the cases of a section in their order, each with what went wrong. */
function read(xml: string): Pick<SpecResult, "run" | "failed"> {
  const failed: string[] = [];
  let run = 0;
  for (const [, section = "", cases = ""] of xml.matchAll(
    /<testsuite [^>]*package="([^"]*)"[^>]*>([\s\S]*?)<\/testsuite>/g,
  )) {
    const each = [...cases.matchAll(/<testcase [^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g)];
    run += each.length;
    for (const [index, [, result = ""]] of each.entries())
      if (/<(failure|error)/.test(result)) failed.push(`${section}/${index + 1}`);
  }
  return { run, failed };
}
