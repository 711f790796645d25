import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../node-script.js";

/** Something that breaks, around a real gateway. */
export interface Fault {
  /** As the table of docs/guides/faults.md names it, where its promise stands. */
  readonly name: string;
  /** Why it cannot be made here; false where it can. */
  skip?(): string | false;
  /** The suite makes it, too: it needs no other server, little time, and no luck. */
  readonly inSuite?: boolean;
  /** Makes it. Returns what was seen; throws where the promise was broken. */
  run(): Promise<string>;
}

export interface Verdict {
  readonly name: string;
  readonly promised: string;
  readonly seen: string;
  readonly result: "kept" | "broken" | "skipped";
}

/** What docs/guides/faults.md promises, by the names of faults. */
export function promises(): ReadonlyMap<string, string> {
  const page = readFileSync(join(root, "docs/guides/faults.md"), "utf8");
  const rows = [...page.matchAll(/^\| ([^|`]+?) \| ([^|]+?) \|$/gm)].map(
    ([, name, promise]) => [String(name), String(promise)] as const,
  );
  return new Map(rows.filter(([name]) => name !== "fault" && !name.startsWith("-")));
}

/** Milliseconds for one fault; a gateway that hangs is a broken promise, too. */
const maxMs = 60_000;

export async function verdictOf(fault: Fault): Promise<Verdict> {
  const { name } = fault;
  const promised = promises().get(name) ?? "(nothing: docs/guides/faults.md has no such row)";
  const why = fault.skip?.() ?? false;
  if (why !== false) return { name, promised, seen: why, result: "skipped" };
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`it took longer than ${maxMs / 1000} s`)), maxMs);
    });
    return { name, promised, seen: await Promise.race([fault.run(), late]), result: "kept" };
  } catch (error) {
    const seen = error instanceof Error ? error.message : String(error);
    return { name, promised, seen, result: "broken" };
  } finally {
    clearTimeout(timer);
  }
}
