import { TranscodeError } from "./error.js";

/**
 * Most units of work that one text or message may cost. A unit is about 20 ns of one core of a 2 GHz server, so that none
 * holds the event loop for more than some 40 ms, whatever its size. A mebibyte of plain integers costs 0.6 million units
 * in one pass; one of rows with a dozen members less than half a million, and by way of the tree less than two million.
 */
export const maxWorkUnits = 2_000_000;

/**
 * The same for messages of backends, which are no attackers: ordinary rows of 4 MiB, the default of
 * `max_message_size`, cost up to 3 million. Large ones are printed in slices, so that this bounds no turn of the event
 * loop.
 */
export const maxResponseWorkUnits = 8_000_000;

/** The same for a large message that has to be read field by field, which costs many times as much, in slices. */
export const maxGatheredWorkUnits = 32_000_000;

/**
 * Messages of more bytes are printed in slices, a turn of the event loop each: of the dearest kinds that one pass prints
 * these cost 2 million units.
 */
export const largeMessageBytes = 64 * 1024;

/** The same for texts that become messages. */
export const largeTextBytes = 64 * 1024;

/** Units of work of a slice and bytes that it writes, either of which takes about 10 ms. */
const sliceUnits = 500_000;
const sliceBytes = 1 << 20;

/** The part of a large message that one turn of the event loop reads and writes. */
export class Slice {
  #left: number;
  #units = Number.NEGATIVE_INFINITY;
  #length = Number.POSITIVE_INFINITY;

  /** @param left units of work that the whole message may still cost */
  constructor(left: number) {
    this.#left = left;
  }

  /** Units that were left when it was full. */
  get left(): number {
    return this.#left;
  }

  /** Begins the next slice where the last one was full. */
  begin(out?: { readonly length: number }): void {
    this.#units = this.#left - sliceUnits;
    if (out !== undefined) this.#length = out.length + sliceBytes;
  }

  /** Whether it is full. @param work what is left of the units of the message, or of the part that is read */
  over(work: Work, out?: { readonly length: number }): boolean {
    if (work.units >= this.#units && (out === undefined || out.length <= this.#length)) return false;
    this.#left = work.units;
    return true;
  }
}

/** Keys of one map up to which the set of them is small. */
const maxCheapKeys = 16;

/** Units of a key beside its string, where its map has so many before it. */
export function keyCost(count: number): number {
  return count < maxCheapKeys ? cost.key : cost.furtherKey;
}

/** Most bytes of JSON that one message may become: packed zeros and empty messages grow many times over. */
export const maxJsonBytes = 64 * 1024 * 1024;

/** The units of work that a text or message may still cost. */
export interface Work {
  units: number;
}

/**
 * Units that pieces of a text or message cost beyond their bytes, each measured on many of the kind at its dearest. Bytes
 * themselves are free: copying a mebibyte takes less than 2 ms.
 */
export const cost = {
  /** An object or a message: a call, a length to be patched in. */
  object: 5,
  /** An integer that is not plain: `1e3`, `-0`, `10.0`. */
  integerForm: 15,
  /** A `google.protobuf.Value`: a number of one byte becomes nine. */
  value: 9,
  /** On the way out: an element of a list, a message, a time, a field that the type does not have. */
  element: 3,
  message: 8,
  time: 28,
  /** An integer beyond 2^53, which is divided in pieces. */
  longInteger: 9,
  /** A time in UTC. */
  utcTime: 8,
  /** A time with an offset, which is made a string first. */
  offsetTime: 25,
  /** A time or duration that is printed by way of a string. */
  timeText: 20,
  /** A value that becomes a string before it is printed. */
  textValue: 10,
  unknownField: 7,
  /** An Any whose bytes are not of its type: an error is made and caught. */
  brokenAny: 4500,
  /** A number that has to become a string before it is understood: 17 digits, `1e-320`. */
  numberText: 20,
  /** A float of nine digits, which is found by trying. */
  floatText: 120,
  /** A string that is made, not copied. */
  string: 10,
  /** A string with escapes, which a native call undoes. */
  escapes: 60,
  /** Base64 to bytes and back, by a native call. */
  bytes: 32,
  /** A key of a map beside its string: its entry in the set of those that came before, which is dear to grow. */
  key: 2,
  furtherKey: 45,
  /** A duration or a field mask. */
  wellKnownText: 60,
  /** An Any is looked up by its type and read apart from the rest. */
  any: 150,
  /** A value of the tree, with its encoder. */
  treeValue: 7,
  /** A string of the tree: it may be base64, a time or a long integer. */
  treeString: 15,
  /** A number of the tree that keeps its text. */
  treeNumber: 40,
  /** An object of the tree, and each of its members: the first ones lie in it, many need a table of their own. */
  treeObject: 20,
  treeMember: 8,
  treeFurtherMember: 36,
  /** An element that is read field by field: a string that others are joined with. */
  joined: 25,
  /** A piece of a message that comes in several. */
  piece: 10,
  /** A message that is read field by field. */
  gathered: 60,
} as const;

/** @throws TranscodeError TOO_COMPLEX where more than is left was spent */
export function spend(work: Work, units: number): void {
  work.units -= units;
  if (work.units < 0) throw tooComplex();
}

export function tooComplex(limit = maxWorkUnits): TranscodeError {
  return new TranscodeError(
    "TOO_COMPLEX",
    "",
    `this takes more than ${limit} units of work to read; send fewer or simpler values`,
  );
}
