/** A regular expression, without anchors, of the decimal texts of the integers from `least` to `most`. */
export function integersBetween(least: bigint, most: bigint): string {
  const alternatives: string[] = [];
  if (least < 0n) alternatives.push(`-(${positive(most < 0n ? -most : 1n, -least)})`);
  if (least <= 0n && most >= 0n) alternatives.push("0");
  if (most > 0n) alternatives.push(positive(least > 0n ? least : 1n, most));
  return alternatives.join("|");
}

/** Of those from `least`, at least 1, to `most`; pieces between numbers that differ in their last digits only. */
function positive(least: bigint, most: bigint): string {
  const pieces: string[] = [];
  for (let start = least; start <= most; ) {
    let end = start;
    // As many last digits as may be anything: from 0s to 9s, with as many digits before.
    for (let size = 10n; start % size === 0n || start === least; size *= 10n) {
      const next = start - (start % size) + size - 1n;
      if (next > most || String(next).length !== String(start).length) break;
      if (start % size !== 0n && !isOneRange(start, next)) break;
      end = next;
    }
    end = widened(start, end, most);
    pieces.push(rangePattern(String(start), String(end)));
    start = end + 1n;
  }
  return joined(pieces);
}

/** All numbers of two digits, of three and so on are one piece. */
function joined(pieces: readonly string[]): string {
  const full = pieces.filter(piece => wholeLength(piece) > 0);
  const lengths = full.map(wholeLength);
  const others = pieces.filter(piece => wholeLength(piece) === 0);
  if (full.length < 2) return pieces.join("|");
  return [`[1-9][0-9]{${(lengths[0] as number) - 1},${(lengths.at(-1) as number) - 1}}`, ...others].join("|");
}

/** The digits of the numbers of a piece that has all of them; 0 for another. */
function wholeLength(piece: string): number {
  const [whole, rest, count] = /^\[1-9\](\[0-9\](?:\{(\d+)\})?)?$/.exec(piece) ?? [];
  if (whole === undefined) return 0;
  return rest === undefined ? 1 : 1 + Number(count ?? 1);
}

/** Whether the numbers of a range differ in a digit, and behind it have 0s on the one side and 9s on the other. */
function isOneRange(start: bigint, end: bigint): boolean {
  const [one, other] = [String(start), String(end)];
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  return /^0*$/.test(one.slice(at + 1)) && /^9*$/.test(other.slice(at + 1));
}

/** The largest end at which the range is still one: the digit before the free ones grows. */
function widened(start: bigint, end: bigint, most: bigint): bigint {
  let widest = end;
  const step = end - start + 1n;
  for (let next = end + step; next <= most && isOneRange(start, next); next += step) {
    if (String(next).length !== String(start).length) break;
    widest = next;
  }
  return widest;
}

function rangePattern(start: string, end: string): string {
  let at = 0;
  while (at < start.length && start[at] === end[at]) at++;
  if (at === start.length) return start;
  const [from, to] = [start[at], end[at]];
  const digit = from === to ? from : `[${from}-${to}]`;
  const rest = start.length - at - 1;
  return `${start.slice(0, at)}${digit}${rest === 0 ? "" : rest === 1 ? "[0-9]" : `[0-9]{${rest}}`}`;
}
