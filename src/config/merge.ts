import { isMap, isScalar, isSeq, type Node, Pair, YAMLMap, YAMLSeq } from "yaml";
import { type Diagnostic, formatPath, formatPosition, type Path } from "./diagnostic.js";
import type { SchemaNode } from "./schema.js";
import { keyText } from "./source.js";
import type { Tree } from "./tree.js";

/** Most mappings that are merged, and how deep: aliases can make a small file large, or a circle. */
const maxMerged = 10_000;
const maxDepth = 200;

/** Puts the contents of two files together, and leaves both as they are. */
export class Merger {
  #merged = 0;

  /** @param problems receives keys that are set twice */
  constructor(
    readonly tree: Tree,
    readonly schema: SchemaNode,
    readonly problems: Diagnostic[],
  ) {}

  /**
   * A file and one that it includes: sections and mappings of names are joined, lists go on; any other key that both
   * set is an error.
   */
  join(base: Node, more: Node): Node {
    return this.#join(base, more, this.schema, []) ?? base;
  }

  /** Undefined where the two cannot be joined. */
  #join(base: Node, more: Node, written: SchemaNode | undefined, path: Path): Node | undefined {
    const schema = variantFor(base, written);
    if (isMap(base) && isMap(more) && schema?.type === "object") {
      const joined = this.#copy(base);
      for (const pair of more.items) {
        const key = keyText(pair);
        const index =
          key === undefined || key === "<<" ? -1 : joined.items.findIndex(each => keyText(each) === key);
        const earlier = joined.items[index];
        if (key === undefined || earlier === undefined) {
          joined.items.push(pair);
          continue;
        }
        const at = [...path, key];
        const [one, other] = [this.#valueOf(earlier), this.#valueOf(pair)];
        const value = one && other && this.#join(one, other, schema.properties?.[key], at);
        if (value === undefined) this.#twice(earlier, pair, at);
        else joined.items[index] = new Pair(earlier.key, value);
      }
      return joined;
    }
    if (!isSeq(base) || !isSeq(more) || schema?.type !== "array") return undefined;
    const list = this.tree.own(new YAMLSeq(), base);
    list.items = [...base.items, ...more.items];
    return list;
  }

  #twice(earlier: Pair, { key }: Pair, path: Path): void {
    const already = formatPosition(this.tree.positionOf(earlier.key));
    this.problems.push({
      severity: "error",
      message: `"${keyText(earlier)}" is set twice, first at ${already}`,
      position: this.tree.positionOf(key),
      path: formatPath(path),
    });
  }

  /** Merges an override into a configuration: mappings are merged, anything else is replaced, `null` removes a key. */
  override(base: Node, over: Node, depth = 0): Node {
    if (!isMap(base) || !isMap(over)) return over;
    if (++this.#merged > maxMerged || depth > maxDepth) {
      if (this.#merged === maxMerged + 1 || depth > maxDepth) this.#tooLarge(over);
      return base;
    }
    const merged = this.#copy(base);
    for (const pair of over.items) this.put(merged, pair, depth);
    return merged;
  }

  /** Sets a key of a mapping that is not shared. */
  put(map: YAMLMap, pair: Pair, depth = 0): void {
    const key = keyText(pair);
    const index = key === undefined || key === "<<" ? -1 : map.items.findIndex(each => keyText(each) === key);
    const earlier = map.items[index];
    if (isNull(pair.value)) {
      if (earlier !== undefined) map.items.splice(index, 1);
      return;
    }
    if (earlier === undefined) {
      map.items.push(pair);
      return;
    }
    const [base, over] = [this.#valueOf(earlier), this.#valueOf(pair)];
    const merges = base !== undefined && over !== undefined && isMap(base) && isMap(over);
    map.items[index] = merges ? new Pair(earlier.key, this.override(base, over, depth + 1)) : pair;
  }

  #copy(map: YAMLMap): YAMLMap {
    const copy = this.tree.own(new YAMLMap(), map);
    copy.items = [...map.items];
    return copy;
  }

  #valueOf({ value }: Pair): Node | undefined {
    return value ? this.tree.resolve(value as Node) : undefined;
  }

  #tooLarge(node: Node): void {
    const position = this.tree.positionOf(node);
    this.problems.push({ severity: "error", message: "aliases make the files too large to merge", position });
  }
}

/** The variant of the schema that fits a node which may be a mapping or a list of them. */
function variantFor(node: Node, schema: SchemaNode | undefined): SchemaNode | undefined {
  const variants = schema?.anyOf;
  if (variants?.some(({ type }) => type === "object") !== true) return schema;
  return variants.find(({ type }) => type === (isMap(node) ? "object" : isSeq(node) ? "array" : undefined));
}

/** `null` or `~`; a key with nothing behind it is more likely a slip. */
function isNull(value: unknown): boolean {
  return isScalar(value) && value.value === null && value.source !== "";
}
