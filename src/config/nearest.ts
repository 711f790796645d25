import { distance } from "fastest-levenshtein";

/** Longer names are not misspelled ones; comparing them would cost more than it helps. */
const longest = 256;

/**
 * The candidate that a person most likely meant by `name`, or undefined where none is near
 * (more than a third of the longer name would have to change; two swapped neighbours count as one change).
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > longest) return undefined;
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  const lowerCase = name.toLowerCase();
  for (const candidate of candidates) {
    const other = candidate.toLowerCase();
    const found = swapped(lowerCase, other) ? 1 : distance(lowerCase, other);
    if (found < bestDistance) {
      best = candidate;
      bestDistance = found;
    }
  }
  if (best === undefined) return undefined;
  return bestDistance <= Math.max(1, Math.floor(Math.max(name.length, best.length) / 3)) ? best : undefined;
}

/** True where two neighbouring letters are swapped, the commonest typing error, which Levenshtein counts twice. */
function swapped(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return a.slice(0, at) + a.charAt(at + 1) + a.charAt(at) + a.slice(at + 2) === b;
}
