import fc from "fast-check";
import { encodeText } from "../../src/routing/percent.js";

/** A template's text and one value that fits each of its variables. */
export interface FilledTemplate {
  readonly text: string;
  readonly values: readonly string[];
}

/** A piece of a template; `value` is what a variable around it would hold. */
interface Piece {
  readonly text: string;
  readonly value: string | undefined;
}

const hasDots = (text: string): boolean => text.split("/").some(part => part === "." || part === "..");

/** Any text that one segment can carry: reserved characters, `%`, `/`, `:`, Unicode. */
const segmentValue = fc
  .oneof(
    fc.string({ unit: "binary", minLength: 1, maxLength: 6 }),
    fc.string({
      unit: fc.constantFrom("a", "%", "/", ":", "2", "F", "*", "+", " ", "é", "."),
      minLength: 1,
      maxLength: 6,
    }),
  )
  .filter(text => !hasDots(text));

/** One segment of a multi-segment value: no slash of its own. */
const partValue = segmentValue.filter(text => !text.includes("/"));

const literalValue = fc
  .oneof(fc.constantFrom("a", "b", "v1", "a:b", "a/b", "%2F", "*", "é"), segmentValue)
  .filter(text => text !== "");

const literalPiece = literalValue.map((value): Piece => {
  const text = encodeText(value);
  return { text, value: value.replaceAll("/", "%2F") };
});
const singlePiece = partValue.map((value): Piece => ({ text: "*", value }));
const multiPiece = fc
  .array(fc.oneof(partValue, fc.constant("")), { maxLength: 4 })
  .map((parts): Piece => ({ text: "**", value: parts.length === 0 ? undefined : parts.join("/") }));

type Group = (index: number) => { readonly text: string; readonly value: string | undefined };

function join(pieces: readonly Piece[]): Piece {
  const values = pieces.map(piece => piece.value).filter(value => value !== undefined);
  return { text: pieces.map(piece => piece.text).join("/"), value: values.join("/") };
}

/** Pieces inside `{…}`, or bare. */
function group(pieces: fc.Arbitrary<Piece[]>): fc.Arbitrary<Group> {
  return fc.tuple(pieces, fc.boolean()).map(([list, isVariable]) => {
    const { text, value } = join(list);
    return index =>
      isVariable ? { text: `{v${index}.x=${text}}`, value: value ?? "" } : { text, value: undefined };
  });
}

const fixedPieces = fc
  .array(fc.oneof(literalPiece, singlePiece), { minLength: 1, maxLength: 3 })
  // A single literal in a variable decodes fully, unlike the same literal among others.
  .filter(pieces => pieces.length > 1 || pieces[0]?.text === "*");
const plainVariable = segmentValue.map(
  (value): Group =>
    index => ({ text: `{v${index}}`, value }),
);
const bareLiteral = literalPiece.map(
  (piece): Group =>
    () => ({ text: piece.text, value: undefined }),
);
const fixedGroup = fc.oneof(plainVariable, bareLiteral, group(fixedPieces));
const multiGroup = group(
  fc
    .tuple(
      fc.array(literalPiece, { maxLength: 1 }),
      multiPiece,
      fc.array(fc.oneof(literalPiece, singlePiece), { maxLength: 2 }),
    )
    .map(([before, wildcard, after]) => [...before, wildcard, ...after]),
);

export const filledTemplate: fc.Arbitrary<FilledTemplate> = fc
  .tuple(
    fc.array(fixedGroup, { minLength: 1, maxLength: 3 }),
    fc.array(multiGroup, { maxLength: 1 }),
    fc.array(fixedGroup, { maxLength: 2 }),
    fc.option(literalValue, { nil: undefined }),
  )
  .map(([head, middle, tail, verb]) => {
    const groups = [...head, ...middle, ...tail].map((make, index) => make(index));
    const path = `/${groups.map(made => made.text).join("/")}`;
    return {
      text: verb === undefined ? path : `${path}:${encodeText(verb)}`,
      values: groups.map(made => made.value).filter(value => value !== undefined),
    };
  });
