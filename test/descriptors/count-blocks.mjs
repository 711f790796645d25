/**
 * A hook for `module.register` that has every loop and function of some modules count how often its body runs.
 * V8's own coverage is no measure here: it counts for one observer of the process, and calls instead of blocks in what
 * was compiled before.
 */
import { parse } from "acorn";
import { full } from "acorn-walk";

let scripts = /^$/;

export function initialize(pattern) {
  scripts = new RegExp(pattern);
}

export async function load(url, context, next) {
  const module = await next(url, context);
  return scripts.test(url) ? { ...module, source: counting(String(module.source), url) } : module;
}

const hasBody = /^(?:For|While|DoWhile)\w*Statement$|^(?:Arrow)?Function/;

function counting(source, url) {
  const places = [];
  const inserts = [];
  const insert = (at, text) => inserts.push({ at, text });
  full(parse(source, { ecmaVersion: "latest", sourceType: "module" }), ({ type, body }) => {
    if (!hasBody.test(type)) return;
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
