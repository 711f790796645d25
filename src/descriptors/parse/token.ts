import type { Scanner } from "./scanner.js";

/** Takes the token when it is the given symbol or keyword. */
export function accept(scanner: Scanner, text: string): boolean {
  if (!scanner.is(text)) return false;
  scanner.next();
  return true;
}

/** @throws SyntaxFault when the token is another. */
export function expect(scanner: Scanner, text: string): void {
  if (!accept(scanner, text)) throw unexpected(scanner, `"${text}"`);
}

export function unexpected(scanner: Scanner, expected: string) {
  const found = scanner.kind === "end" ? "the end of the file" : scanner.text.slice(0, 60);
  return scanner.fault(
    `expected ${expected} but found ${scanner.kind === "end" ? found : JSON.stringify(found)}`,
  );
}

/** Reads an identifier; `what` names it in the error. @throws SyntaxFault */
export function readIdentifier(scanner: Scanner, what: string): string {
  if (scanner.kind !== "identifier") throw unexpected(scanner, what);
  const { text } = scanner;
  scanner.next();
  return copied(text);
}

/** V8 keeps the whole source alive for a part of it that has 13 characters or more, unless it is copied. */
function copied(text: string): string {
  return text.length < 13 ? text : Buffer.from(text, "latin1").toString("latin1");
}

/** A name with dots, a leading one too. @throws SyntaxFault */
export function readName(scanner: Scanner, what: string): string {
  let name = accept(scanner, ".") ? "." : "";
  name += readIdentifier(scanner, what);
  while (accept(scanner, ".")) name += `.${readIdentifier(scanner, what)}`;
  return name;
}

/** An integer, with a sign where `signed`. @throws SyntaxFault */
export function readInteger(scanner: Scanner, what: string, signed: boolean): number {
  const negative = signed && accept(scanner, "-");
  if (scanner.kind !== "integer") throw unexpected(scanner, what);
  const value = Number(parseInteger(scanner)) * (negative ? -1 : 1);
  if (value < -0x8000_0000 || value > 0x7fff_ffff)
    throw scanner.fault(`${what} ${scanner.text} is out of range`);
  scanner.next();
  return value;
}

/** One or more adjacent strings as one. @throws SyntaxFault */
export function readString(scanner: Scanner, what: string): Buffer {
  if (scanner.kind !== "string") throw unexpected(scanner, what);
  const parts: Buffer[] = [];
  while (scanner.kind === "string") parts.push(takeString(scanner));
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}

/** The bytes of the string token, which is taken. @throws SyntaxFault */
export function takeString(scanner: Scanner): Buffer {
  const bytes = unescaped(scanner);
  scanner.next();
  return bytes;
}

/** The value of the integer token, which is not taken. @throws SyntaxFault */
export function parseInteger(scanner: Scanner): bigint {
  const { text } = scanner;
  if (text.length > 24) throw scanner.fault(`the number ${text.slice(0, 60)} is out of range`);
  if (text.length === 1 || text.charCodeAt(0) !== 48 || /^0[xX]/.test(text)) return BigInt(text);
  if (!/^0[0-7]+$/.test(text)) throw scanner.fault(`malformed octal number ${text}`);
  return BigInt(`0o${text.slice(1)}`);
}

const simpleEscapes: ReadonlyMap<string, number> = new Map([
  ["a", 7],
  ["b", 8],
  ["f", 12],
  ["n", 10],
  ["r", 13],
  ["t", 9],
  ["v", 11],
  ["?", 63],
  ["\\", 92],
  ["'", 39],
  ['"', 34],
]);
const escapeSyntax =
  /\\(?:([abfnrtv?\\'"])|([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y;

function unescaped(scanner: Scanner): Buffer {
  const body = scanner.text.slice(1, -1);
  if (!body.includes("\\")) return Buffer.from(body);
  // No escape stands for more bytes than it has characters.
  const bytes = Buffer.allocUnsafe(Buffer.byteLength(body));
  let length = 0;
  let at = 0;
  while (at < body.length) {
    const slash = body.indexOf("\\", at);
    if (slash !== at) length += bytes.write(body.slice(at, slash < 0 ? undefined : slash), length);
    if (slash < 0) break;
    escapeSyntax.lastIndex = slash;
    const match = escapeSyntax.exec(body);
    const end = match === null ? undefined : writeEscaped(match, bytes, length);
    if (end === undefined)
      throw scanner.fault(`unknown escape ${JSON.stringify(body.slice(slash, slash + 4))} in the string`);
    length = end;
    at = escapeSyntax.lastIndex;
  }
  return bytes.subarray(0, length);
}

/** @returns the end of the bytes written; undefined: no character has the number */
function writeEscaped(
  [, simple, octal, hex, short, long]: RegExpExecArray,
  into: Buffer,
  at: number,
): number | undefined {
  const byte =
    simple !== undefined
      ? simpleEscapes.get(simple)
      : octal !== undefined
        ? Number.parseInt(octal, 8)
        : hex !== undefined
          ? Number.parseInt(hex, 16)
          : undefined;
  if (byte !== undefined) {
    into[at] = byte;
    return at + 1;
  }
  const point = Number.parseInt(short ?? long ?? "", 16);
  return point > 0x10_ffff ? undefined : at + into.write(String.fromCodePoint(point), at);
}
