/**
 * A hook for `module.register`, and its work for `module.registerHooks`: every loop and function of some modules counts
 * how often its body runs. V8's own coverage is no measure here: it counts for one observer of the process, and calls instead of blocks in what
 * was compiled before.
 */
import { type Node, parse } from "acorn";
import { full } from "acorn-walk";

let scripts = /^$/;

/** A module as hooks hand it on. */
export interface Loaded {
  readonly source?: unknown;
}

export function initialize(pattern: string): void {
  scripts = new RegExp(pattern);
}

export async function load(
  url: string,
  context: unknown,
  next: (url: string, context: unknown) => Promise<Loaded>,
): Promise<Loaded> {
  const module = await next(url, context);
  return scripts.test(url) ? counted(url, module) : module;
}

export function counted(url: string, module: Loaded): Loaded {
  return { ...module, source: counting(String(module.source), url) };
}

const hasBody = /^(?:For|While|DoWhile)\w*Statement$|^(?:Arrow)?Function/;

function counting(source: string, url: string): string {
  const places: number[] = [];
  const inserts: { at: number; text: string }[] = [];
  const insert = (at: number, text: string) => inserts.push({ at, text });
  full(parse(source, { ecmaVersion: "latest", sourceType: "module" }), node => {
    if (!hasBody.test(node.type)) return;
    const { type, body } = node as Node & { body: Node };
    const count = `__counts[${places.length}]++`;
    places.push(body.start);
    if (body.type === "BlockStatement") {
      insert(body.start + 1, `${count};`);
      return;
    }
    const statement = type.endsWith("Statement");
    insert(body.start, statement ? `{${count};` : `(${count},`);
    insert(body.end, statement ? "}" : ")");
  });
  let out = "";
  let from = 0;
  for (const { at, text } of inserts.sort((a, b) => a.at - b.at)) {
    out += source.slice(from, at) + text;
    from = at;
  }
  const counts = `const __counts = globalThis.countBlocks(${JSON.stringify(url)}, ${JSON.stringify(places)});`;
  return `${counts}${out}${source.slice(from)}`;
}
