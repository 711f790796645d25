import type { Steps } from "../net/pace.js";
import type { PathScan } from "./path-scan.js";
import { segmentText, type Template } from "./template.js";
import type { TrieEntry } from "./trie.js";

/** Most candidates of an explanation. */
export const maxCandidates = 10;

/** The result for one route when a request was matched. */
export interface Candidate<T> {
  readonly method: string;
  readonly template: Template;
  readonly value: T;
  /** `found`: the winner. `lost`: matches, but another one won. The others name the part that does not fit. */
  readonly outcome: "found" | "lost" | "method" | "verb" | "path";
  /** For people: the expected and the found text. Segments count from 1. */
  readonly reason: string;
  /** Leading segments of the template that fit. */
  readonly matched: number;
}

interface PathTexts {
  readonly whole: readonly string[];
  /** The segments without the verb, where the path may have one. */
  readonly withoutVerb: readonly string[];
  readonly verb: string | undefined;
}

type Comparison = Pick<Candidate<unknown>, "reason" | "matched"> & {
  readonly outcome: "fits" | "verb" | "path";
};

/** Units for comparing one route with a path. */
const compareUnits = 3;

/** The candidates nearest to a request, best first. The path is not looked at after the call. */
export function explainRoutes<T>(
  routes: readonly TrieEntry<T>[],
  method: string,
  path: PathScan,
  winner: TrieEntry<T> | undefined,
): Steps<readonly Candidate<T>[]> {
  return nearestRoutes(routes, method, textsOf(path), winner);
}

function* nearestRoutes<T>(
  routes: readonly TrieEntry<T>[],
  method: string,
  texts: PathTexts,
  winner: TrieEntry<T> | undefined,
): Steps<readonly Candidate<T>[]> {
  const best: Candidate<T>[] = [];
  for (const route of routes) {
    const candidate = explainRoute(route, method, texts, winner);
    // Of equals the earlier one stays before.
    let index = best.length;
    while (index > 0 && byNearness(candidate, best[index - 1] as Candidate<T>) < 0) index -= 1;
    if (index < maxCandidates) best.splice(index, 0, candidate);
    if (best.length > maxCandidates) best.pop();
    yield compareUnits;
  }
  return best;
}

const outcomeOrder = ["found", "lost", "method", "verb", "path"] as const;

function byNearness(a: Candidate<unknown>, b: Candidate<unknown>): number {
  const rank = (candidate: Candidate<unknown>): number =>
    candidate.outcome === "path" ? outcomeOrder.indexOf("verb") : outcomeOrder.indexOf(candidate.outcome);
  return rank(a) - rank(b) || b.matched - a.matched;
}

function explainRoute<T>(
  route: TrieEntry<T>,
  method: string,
  texts: PathTexts,
  winner: TrieEntry<T> | undefined,
): Candidate<T> {
  const { template, value } = route;
  const compared = compare(template, texts);
  const candidate = { method: route.method, template, value, matched: compared.matched };
  if (compared.outcome !== "fits") {
    return { ...candidate, outcome: compared.outcome, reason: compared.reason };
  }
  if (route === winner) return { ...candidate, outcome: "found", reason: "found" };
  if (route.method !== method && route.method !== "*") {
    return { ...candidate, outcome: "method", reason: `method is ${route.method}` };
  }
  const reason =
    winner === undefined
      ? "lost"
      : `lost to a more specific template, ${winner.method} ${winner.template.text}`;
  return { ...candidate, outcome: "lost", reason };
}

function textsOf(path: PathScan): PathTexts {
  const read = (): string[] => Array.from({ length: path.count }, (_, index) => path.text(index));
  const whole = read();
  if (!path.hasColon) return { whole, withoutVerb: whole, verb: undefined };
  path.takeVerb();
  const withoutVerb = read();
  path.restoreVerb();
  return { whole, withoutVerb, verb: path.verb() };
}

function compare(template: Template, texts: PathTexts): Comparison {
  const { verb } = template;
  const hasVerb = verb !== undefined && verb === texts.verb;
  const compared = compareSegments(template, hasVerb ? texts.withoutVerb : texts.whole);
  if (compared.outcome !== "fits" || verb === undefined || hasVerb) return compared;
  const found = texts.verb === undefined ? "none" : `":${texts.verb}"`;
  return { outcome: "verb", reason: `verb ":${verb}" expected, found ${found}`, matched: compared.matched };
}

function compareSegments({ segments }: Template, texts: readonly string[]): Comparison {
  const wildcard = segments.findIndex(segment => segment.kind === "multi");
  const head = wildcard < 0 ? segments.length : wildcard;
  for (let index = 0; index < head; index += 1) {
    const reason = mismatch(segments, index, texts, index);
    if (reason !== undefined) return { outcome: "path", reason, matched: index };
  }
  if (wildcard < 0) {
    if (texts.length === head) return fits(head);
    const reason = `the path continues after segment ${head}, with "${texts[head]}"`;
    return { outcome: "path", reason, matched: head };
  }
  const tail = segments.length - wildcard - 1;
  if (texts.length < head + tail) {
    const reason = `at least ${head + tail} segments expected, found ${texts.length}`;
    return { outcome: "path", reason, matched: head };
  }
  for (let index = wildcard + 1; index < segments.length; index += 1) {
    const reason = mismatch(segments, index, texts, texts.length - segments.length + index);
    if (reason !== undefined) return { outcome: "path", reason, matched: head };
  }
  return fits(segments.length);
}

function fits(matched: number): Comparison {
  return { outcome: "fits", reason: "", matched };
}

/** Why the text at `at` does not fit the segment at `index`; undefined where it does. */
function mismatch(
  segments: Template["segments"],
  index: number,
  texts: readonly string[],
  at: number,
): string | undefined {
  const segment = segments[index] as Template["segments"][number];
  const text = texts[at];
  const expected = segment.kind === "literal" ? `literal "${segment.value}"` : `"${segmentText(segment)}"`;
  if (text === undefined) return `${expected} expected at segment ${at + 1}, the path ends before`;
  if (segment.kind === "literal") {
    return text === segment.value ? undefined : `${expected} expected at segment ${at + 1}, found "${text}"`;
  }
  return text === "" ? `${expected} expected at segment ${at + 1}, which is empty` : undefined;
}
