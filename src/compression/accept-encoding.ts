/** The content codings (RFC 9110 §8.4.1) that responses are compressed with. */
export const codings = ["br", "gzip"] as const;

export type Coding = (typeof codings)[number];

/** The codings that a client accepts, of those that are offered. */
export interface CodingChoice {
  /** The best of the codings that it takes; undefined where it takes none, or would rather have none. */
  readonly coding: Coding | undefined;
  /** Whether it takes responses that are not compressed. */
  readonly identity: boolean;
}

/** A coding or `*`, and its weight (RFC 9110 §12.4.2). */
const element =
  /^[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?$/;

/**
 * Reads an Accept-Encoding header (RFC 9110 §12.5.3). Elements that are not valid are passed over; where a coding is
 * named twice the first one counts. Among codings of one weight the one that is offered first is chosen.
 * @param header undefined where there is none; RFC 9110 would allow any coding then, of which none is the safest
 */
export function chooseCoding(header: string | undefined, offered: readonly Coding[]): CodingChoice {
  if (header === undefined) return { coding: undefined, identity: true };
  const weights = new Map<string, number>();
  for (const part of header.split(",")) {
    const [, name, weight = "1"] = element.exec(part) ?? [];
    if (name === undefined) continue;
    const coding = name.toLowerCase();
    // RFC 9110 §8.4.1.3
    const known = coding === "x-gzip" ? "gzip" : coding;
    if (!weights.has(known)) weights.set(known, Number(weight));
  }
  const others = weights.get("*");
  const identity = weights.get("identity");
  let best: Coding | undefined;
  let bestWeight = 0;
  for (const coding of offered) {
    const weight = weights.get(coding) ?? others ?? 0;
    if (weight <= bestWeight) continue;
    best = coding;
    bestWeight = weight;
  }
  const coding = identity !== undefined && identity > bestWeight ? undefined : best;
  return { coding, identity: (identity ?? others ?? 1) > 0 };
}
