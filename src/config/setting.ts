import { isMap, isSeq, type Node, Pair, Scalar, YAMLMap, YAMLSeq } from "yaml";
import { formatPath, type Path } from "./diagnostic.js";
import type { Merger } from "./merge.js";
import { nearest } from "./nearest.js";
import { keyText, type Source } from "./source.js";
import type { Tree } from "./tree.js";

/** `upstreams.chat.targets[0]=localhost:1`, taken apart. */
interface Setting {
  /** The name for messages: without the value, which may be a secret. */
  readonly name: string;
  readonly path: Path;
  /** YAML. */
  readonly text: string;
}

const maxSteps = 100;

/** Takes a setting of the command line apart. */
export function readSetting(written: string): Setting | { readonly problem: string } {
  const expected = "expected PATH=VALUE, such as upstreams.chat.timeout=5s or services[0].upstream=chat";
  const path: (string | number)[] = [];
  const step = /(?:^|\.)([A-Za-z_][\w-]*)|\[(\d{1,6})\]|\[("(?:[^"\\]|\\.)*")\]/y;
  let at = 0;
  while (at < written.length && written[at] !== "=" && path.length < maxSteps) {
    step.lastIndex = at;
    const [whole, name, index, quoted] = step.exec(written) ?? [];
    if (whole === undefined) {
      const [, index] = /^\.(\d{1,6})(?=[.[=])/.exec(written.slice(at)) ?? [];
      return { problem: index === undefined ? expected : `${expected}; an item of a list is [${index}]` };
    }
    try {
      path.push(name ?? (index === undefined ? (JSON.parse(quoted ?? "") as string) : Number(index)));
    } catch {
      return { problem: expected };
    }
    at += whole.length;
  }
  if (written[at] !== "=" || typeof path[0] !== "string") return { problem: expected };
  if (path[0] === "include")
    return { problem: "files are included by files; give a further -c FILE instead" };
  return { name: `--set ${written.slice(0, at)}`, path, text: written.slice(at + 1) };
}

/**
 * The configuration with a setting in it; an error text where it does not fit. Mappings of its path are made, and an
 * index may be the next of its list.
 */
export function assignSetting(
  root: Node | undefined,
  { path }: Setting,
  source: Source,
  tree: Tree,
  merger: Merger,
): Node | string {
  const value = source.root ?? new Scalar(null);
  const assign = (base: Node | undefined, depth: number): Node | string => {
    const step = path[depth];
    if (step === undefined) return base === undefined ? value : merger.override(base, value);
    const at = formatPath(path.slice(0, depth)) || "the configuration";
    if (typeof step === "number") {
      if (base !== undefined && !isSeq(base)) return `${at} is no list; expected ${at}.KEY`;
      const items = base?.items ?? [];
      if (step > items.length)
        return `${at} has ${count(items.length)}; expected an index up to ${items.length}`;
      const item = assign(resolved(items[step]), depth + 1);
      if (typeof item === "string") return item;
      const list = tree.own(new YAMLSeq(), base ?? source);
      list.items = items.toSpliced(step, 1, item);
      return list;
    }
    if (isSeq(base)) return `${at} is a list; expected ${at}[INDEX]`;
    const map = tree.own(new YAMLMap(), isMap(base) ? base : source);
    map.items = isMap(base) ? [...base.items] : [];
    const earlier = map.items.find(each => keyText(each) === step);
    if (earlier === undefined && depth + 1 < path.length)
      tree.suggest(
        path.slice(0, depth + 1),
        nearest(
          step,
          map.items.flatMap(each => keyText(each) ?? []),
        ),
      );
    const inner = depth + 1 === path.length ? value : assign(resolved(earlier?.value), depth + 1);
    if (typeof inner === "string") return inner;
    const key = earlier?.key ?? tree.own(new Scalar(step), source);
    if (depth + 1 === path.length) merger.put(map, new Pair(tree.own(new Scalar(step), source), inner));
    else if (earlier === undefined) map.items.push(new Pair(key, inner));
    else map.items[map.items.indexOf(earlier)] = new Pair(key, inner);
    return map;
  };
  const resolved = (node: unknown): Node | undefined => (node ? tree.resolve(node as Node) : undefined);
  return assign(root, 0);
}

function count(items: number): string {
  return `${items} item${items === 1 ? "" : "s"}`;
}
