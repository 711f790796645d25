import type { Member } from "../brokers/broker.js";

/** Who is in a room, as far as members are told. */
export interface Present {
  /** Sessions. */
  readonly count: number;
  /** Each once, and not all of them where they are many. */
  readonly names: ReadonlySet<string>;
}

/** @param most names */
export function presentOf(count: number, all: Iterable<string>, most: number): Present {
  const names = new Set<string>();
  for (const name of all) {
    if (names.size === most) break;
    names.add(name);
  }
  return { count, names };
}

/** Who the members are, by their names. */
export function* namesOf(members: readonly Member[]): Iterable<string> {
  for (const { from } of members) yield from;
}
