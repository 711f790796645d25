import type { PathScan } from "./path-scan.js";
import type { Template } from "./template.js";

/** A route as it was added. */
export interface TrieEntry<T> {
  readonly method: string;
  readonly template: Template;
  readonly value: T;
}

/** The route at the end of a walk, with all that reading its variables takes. */
export class Leaf<T> {
  readonly #slots: readonly Slot[];

  constructor(readonly route: TrieEntry<T>) {
    const { segments, variables } = route.template;
    const wildcard = segments.findIndex(segment => segment.kind === "multi");
    const fromEnd = (index: number): number =>
      wildcard >= 0 && index > wildcard ? index - segments.length : index;
    this.#slots = variables.map(({ start, end, multi }) => ({
      start: fromEnd(start),
      endsFromEnd: wildcard >= 0 && end > wildcard,
      end: fromEnd(end),
      multi,
    }));
  }

  /** The decoded values of the variables, in the template's order. */
  read(path: PathScan): string[] {
    const slots = this.#slots;
    const values = new Array<string>(slots.length);
    for (let index = 0; index < slots.length; index += 1) {
      const slot = slots[index] as Slot;
      const start = slot.start < 0 ? path.count + slot.start : slot.start;
      const end = slot.endsFromEnd ? path.count + slot.end : slot.end;
      values[index] = slot.multi ? path.span(start, end) : path.text(start);
    }
    return values;
  }
}

/** Where a variable lies in a path. Indexes after the template's `**` count from the path's end. */
interface Slot {
  readonly start: number;
  readonly endsFromEnd: boolean;
  readonly end: number;
  readonly multi: boolean;
}

/**
 * A trie of templates. Up to a template's `**` segments are read from the left of the path; the fixed tail after
 * it is read from the right end towards it, so that each node means one fixed number of segments taken from
 * the left and one from the right.
 */
export class TrieNode<T> {
  /** `head` reads from the left, `tail` from the right, and at `rest` the `**` takes all that is left. */
  readonly role: "head" | "tail" | "rest";
  readonly left: number;
  readonly right: number;
  literals: Map<string, TrieNode<T>> | undefined = undefined;
  single: TrieNode<T> | undefined = undefined;
  multi: TrieNode<T> | undefined = undefined;
  /** Routes that end here, without and with a verb; none at `tail`. */
  leaf: Leaf<T> | undefined = undefined;
  verbs: Map<string, Leaf<T>> | undefined = undefined;

  constructor(role: "head" | "tail" | "rest", left: number, right: number) {
    this.role = role;
    this.left = left;
    this.right = right;
  }
}

/** Adds a route; the first of two equivalent ones stays. */
export function insertRoute<T>(root: TrieNode<T>, route: TrieEntry<T>): void {
  const { segments, verb } = route.template;
  let node = root;
  for (const segment of readingOrder(segments)) node = child(node, segment);
  if (verb === undefined) {
    node.leaf ??= new Leaf(route);
    return;
  }
  node.verbs ??= new Map();
  if (!node.verbs.has(verb)) node.verbs.set(verb, new Leaf(route));
}

type Segments = Template["segments"];

/** The head, `**`, the tail from its end, and `**` again to end the tail. */
function readingOrder(segments: Segments): Segments {
  const wildcard = segments.findIndex(segment => segment.kind === "multi");
  if (wildcard < 0) return segments;
  return [...segments.slice(0, wildcard + 1), ...segments.slice(wildcard + 1).reverse(), { kind: "multi" }];
}

function child<T>(node: TrieNode<T>, segment: Segments[number]): TrieNode<T> {
  const { role, left, right } = node;
  const next = (): TrieNode<T> =>
    role === "head" ? new TrieNode(role, left + 1, right) : new TrieNode(role, left, right + 1);
  switch (segment.kind) {
    case "single":
      node.single ??= next();
      return node.single;
    case "multi":
      node.multi ??= new TrieNode(role === "head" ? "tail" : "rest", left, right);
      return node.multi;
    case "literal": {
      node.literals ??= new Map();
      let found = node.literals.get(segment.value);
      if (found === undefined) {
        found = next();
        node.literals.set(segment.value, found);
      }
      return found;
    }
  }
}

/**
 * The most specific route whose template matches: literal before `*` before `**`, compared from the left up to
 * the `**` and then from the right back to it.
 *
 * A depth-first walk with an explicit stack. It is bounded for every path: a node fixes which segments were
 * read before it and has one parent, so it is visited at most once, and a walk costs at most one step for each
 * node of the trie, most of which no path reaches.
 * @param verb undefined looks for routes without a verb; else `path.takeVerb()` was called
 */
export function findRoute<T>(
  root: TrieNode<T>,
  path: PathScan,
  verb: string | undefined,
): Leaf<T> | undefined {
  const count = path.count;
  let stack: TrieNode<T>[] | undefined;
  let node: TrieNode<T> | undefined = root;
  while (node !== undefined) {
    const remaining: number = count - node.left - node.right;
    if (remaining === 0 || node.role === "rest") {
      const leaf: Leaf<T> | undefined = verb === undefined ? node.leaf : node.verbs?.get(verb);
      if (leaf !== undefined) return leaf;
    }
    let next: TrieNode<T> | undefined = node.multi;
    if (remaining > 0 && node.role !== "rest") {
      const index: number = node.role === "head" ? node.left : count - node.right - 1;
      if (node.single !== undefined && !path.isEmpty(index)) {
        if (next !== undefined) {
          stack ??= [];
          stack.push(next);
        }
        next = node.single;
      }
      const literal: TrieNode<T> | undefined = node.literals?.get(path.text(index));
      if (literal !== undefined) {
        if (next !== undefined) {
          stack ??= [];
          stack.push(next);
        }
        next = literal;
      }
    }
    node = next ?? stack?.pop();
  }
  return undefined;
}
