import { decodeText } from "../../routing/percent.js";
import type { Template } from "../../routing/template.js";

/** Whether the paths of a template are under a glob: all of them, none, or as each one is. */
export type Coverage = "always" | "never" | "depends";

/**
 * A glob over paths: `*` within a segment stands for any text, `**` for any number of segments.
 *
 * A path can be read in more than one way, and a backend may read it in another way than the gateway
 * does. It is under the glob where any reading is: in any case of letters; with `%2F`, `\` and `%5C` as separators or
 * not; decoded once or twice; with empty segments or without; with `;parameters` or without; with the `:verb` or
 * without. So no spelling of a path avoids a policy.
 */
export interface PathGlob {
  coverage(template: Template): Coverage;
  /** @param segments of a path, split on `/` and decoded once, a verb included */
  matches(segments: readonly string[]): boolean;
}

/** One segment of a glob; undefined is `**`. */
interface Item {
  readonly any: boolean;
  test(text: string): boolean;
}
type Items = readonly (Item | undefined)[];

/** Which items may come next: one flag for each, and one for the end. */
type States = boolean[];

/** @param text begins with `/`; a trailing slash means nothing */
export function pathGlob(text: string): PathGlob {
  const items = text
    .split("/")
    .filter(segment => segment !== "")
    .map(itemOf);
  return {
    coverage: template =>
      mayMatch(items, template) ? (covers(items, template) ? "always" : "depends") : "never",
    matches: segments => matchesAnyReading(items, segments),
  };
}

function itemOf(segment: string): Item | undefined {
  if (segment === "**") return undefined;
  const decoded = segment.split("*").map(part => decodeText(part) ?? part);
  return { any: segment === "*", test: wildcard(fold(decoded.join("*"))) };
}

function matchesAnyReading(items: Items, segments: readonly string[]): boolean {
  let states = begin(items);
  // Where a slash at the end means nothing, the segment before it is the last.
  const end = segments.findLastIndex(segment => segment !== "");
  for (let index = 0; index < segments.length; index++) {
    const from = states;
    const last = index >= end;
    const segment = fold(segments[index] as string);
    if (hasDotSegment(segment)) return true;
    states = step(items, from, segment, last);
    const again = segment.includes("%") ? decodeText(segment) : undefined;
    if (again === undefined || again === segment) continue;
    const decoded = fold(again);
    if (hasDotSegment(decoded)) return true;
    states = either(states, step(items, from, decoded, last));
  }
  return states[items.length] as boolean;
}

/** False only where no path of the template can match in any reading. A variable can hold any segments. */
function mayMatch(items: Items, { segments, verb }: Template): boolean {
  // The path "/" has an empty segment or none.
  let states = segments.length === 0 ? step(items, begin(items), "", true) : begin(items);
  segments.forEach((segment, index) => {
    if (segment.kind === "literal") {
      const from = states;
      states = step(items, from, fold(segment.value), false);
      // The rest can match nothing.
      if (segments.slice(index + 1).every(({ kind }) => kind === "multi")) {
        const text = verb === undefined ? segment.value : `${segment.value}:${verb}`;
        states = either(states, step(items, from, fold(text), true));
      }
    } else {
      const first = states.indexOf(true);
      states = states.map((_, at) => first >= 0 && at >= first);
    }
  });
  return states[items.length] as boolean;
}

/** True only where every path of the template matches, in the plain reading. */
function covers(items: Items, { segments, verb }: Template): boolean {
  // From the end: whether the items from each index on cover the segments from the current one on.
  let rest = items.map((_, at) => items.slice(at).every(item => item === undefined));
  rest.push(true);
  for (let index = segments.length - 1; index >= 0; index--) {
    const segment = segments[index] as Template["segments"][number];
    const text = segment.kind === "literal" ? fold(segment.value) : undefined;
    const texts = text === undefined ? [] : [text];
    if (text !== undefined && verb !== undefined && index === segments.length - 1) {
      texts.push(`${text}:${fold(verb)}`);
    }
    const now: boolean[] = new Array(items.length + 1).fill(false);
    for (let at = items.length - 1; at >= 0; at--) {
      const item = items[at];
      if (item === undefined) now[at] = (now[at + 1] as boolean) || (rest[at] as boolean);
      else if (segment.kind === "multi") now[at] = false;
      else now[at] = (item.any || texts.some(each => item.test(each))) && (rest[at + 1] as boolean);
    }
    rest = now;
  }
  return rest[0] as boolean;
}

function begin(items: Items): States {
  const states: States = new Array(items.length + 1).fill(false);
  states[0] = true;
  return closed(items, states);
}

/** `**` may match nothing. */
function closed(items: Items, states: States): States {
  for (let at = 0; at < items.length; at++) {
    if (states[at] && items[at] === undefined) states[at + 1] = true;
  }
  return states;
}

/** Reads one segment, whole and split at the separators in it. */
function step(items: Items, from: States, segment: string, last: boolean): States {
  const whole = read(items, from, segment, last);
  if (!separator.test(segment)) return whole;
  const parts = segment.split(separator);
  let split = from;
  parts.forEach((part, index) => {
    split = read(items, split, part, last && index === parts.length - 1);
  });
  return either(whole, split);
}

function either(one: States, other: States): States {
  return one.map((state, at) => state || (other[at] as boolean));
}

function read(items: Items, from: States, text: string, last: boolean): States {
  const texts = decodings(text, last);
  // An empty segment may count or not.
  const to: States = texts.includes("") ? [...from] : new Array(from.length).fill(false);
  for (let at = 0; at < items.length; at++) {
    if (!from[at]) continue;
    const item = items[at];
    if (item === undefined) to[at] = true;
    else if (item.any || texts.some(each => item.test(each))) to[at + 1] = true;
  }
  return closed(items, to);
}

/** A segment as it is, without its parameters, and without the verb if it is the last. */
function decodings(text: string, last: boolean): string[] {
  const bare = text.includes(";") ? [text, text.slice(0, text.indexOf(";"))] : [text];
  if (!last || !text.includes(":")) return bare;
  return bare.flatMap(each => (each.includes(":") ? [each, each.slice(0, each.lastIndexOf(":"))] : [each]));
}

const separator = /[/\\]|%2f|%5c/;

/** True where a part of a segment would lead elsewhere if it were resolved: then every glob matches. */
function hasDotSegment(segment: string): boolean {
  if (!segment.includes(".") && !segment.includes("%2e")) return false;
  return segment.split(separator).some(part => /^(\.|%2e){1,2}(;|$)/.test(part));
}

function fold(text: string): string {
  return text.toLowerCase();
}

/**
 * A test for a pattern in which `*` stands for any text. Takes time in proportion to the pattern and the text, in every
 * case.
 */
export function wildcard(pattern: string): (text: string) => boolean {
  const [head = "", ...rest] = pattern.split("*");
  const tail = rest.pop();
  if (tail === undefined) return text => text === head;
  const least = head.length + tail.length;
  return text => {
    if (text.length < least || !text.startsWith(head) || !text.endsWith(tail)) return false;
    const end = text.length - tail.length;
    let at = head.length;
    for (const part of rest) {
      const found = text.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}
