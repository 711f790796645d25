import { TranscodeError } from "./error.js";

/**
 * Most units of work that one text or message may cost. A unit is about 10 ns of a slow core, so that none holds the event
 * loop for more than some 40 ms, whatever its size. A mebibyte of plain integers costs 0.6 million units in one pass and
 * 3.2 million by way of the tree; a mebibyte of rows with a dozen members costs less than one million.
 */
export const maxWorkUnits = 4_000_000;

/** Most bytes of JSON that one message may become: packed zeros and empty messages grow many times over. */
export const maxJsonBytes = 64 * 1024 * 1024;

/** What a text or message may still cost. */
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
  integerForm: 3,
  /** A `google.protobuf.Value`: a number of one byte becomes nine. */
  value: 6,
  /** On the way out: an element of a list, a message, a time, a field that the type does not have. */
  element: 3,
  message: 10,
  time: 8,
  unknownField: 4,
  /** An Any whose bytes are not of its type: an error is made and caught. */
  brokenAny: 600,
  /** A number that has to become a string before it is understood: 17 digits, `1e-320`. */
  numberText: 40,
  /** A float of nine digits, which is found by trying. */
  floatText: 120,
  /** A string that is made, not copied. */
  string: 10,
  /** A string with escapes, which a native call undoes. */
  escapes: 40,
  /** Base64 to bytes and back, by a native call. */
  bytes: 40,
  /** A key of a map: a string, and its entry in the set of those that came before. */
  key: 45,
  /** A time with an offset, a duration, a field mask. */
  wellKnownText: 60,
  /** An Any is looked up by its type and read apart from the rest. */
  any: 150,
  /** A value of the tree, with what encodes it. */
  treeValue: 6,
  /** A string of the tree: it may be base64, a time or a long integer. */
  treeString: 30,
  /** A number of the tree that keeps its text. */
  treeNumber: 50,
  /** An object of the tree, and each of its members: the first ones lie in it, many need a table of their own. */
  treeObject: 50,
  treeMember: 10,
  treeFurtherMember: 45,
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

export function tooComplex(): TranscodeError {
  return new TranscodeError(
    "TOO_COMPLEX",
    "",
    `this takes more than ${maxWorkUnits} units of work to read; send fewer or simpler values`,
  );
}
