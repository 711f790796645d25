import type { Scanner } from "./scanner.js";

/** Takes the token when it is the given symbol or word. */
export function accept(scanner: Scanner, text: string): boolean {
  if (!scanner.is(text)) return false;
  scanner.next();
  return true;
}

/** @throws SyntaxFault when the token is another. */
export function expect(scanner: Scanner, text: string): void {
  if (!accept(scanner, text)) throw unexpected(scanner, `"${text}"`);
}

export function unexpected(scanner: Scanner, wanted: string) {
  const found = scanner.kind === "end" ? "the end of the file" : scanner.text.slice(0, 60);
  return scanner.fault(
    `expected ${wanted} but found ${scanner.kind === "end" ? found : JSON.stringify(found)}`,
  );
}

/** An identifier; `what` says what for. @throws SyntaxFault */
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
  while (scanner.kind === "string") {
    parts.push(unescaped(scanner));
    scanner.next();
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
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
  const parts: Buffer[] = [];
  let at = 0;
  while (at < body.length) {
    const slash = body.indexOf("\\", at);
    if (slash < 0) {
      parts.push(Buffer.from(body.slice(at)));
      break;
    }
    parts.push(Buffer.from(body.slice(at, slash)));
    escapeSyntax.lastIndex = slash;
    const match = escapeSyntax.exec(body);
    const bytes = match === null ? undefined : escaped(match);
    if (bytes === undefined)
      throw scanner.fault(`unknown escape ${JSON.stringify(body.slice(slash, slash + 4))} in the string`);
    parts.push(bytes);
    at = escapeSyntax.lastIndex;
  }
  return Buffer.concat(parts);
}

function escaped([, simple, octal, hex, short, long]: RegExpExecArray): Buffer | undefined {
  if (simple !== undefined) return Buffer.of(simpleEscapes.get(simple) ?? 0);
  if (octal !== undefined) return Buffer.of(Number.parseInt(octal, 8));
  if (hex !== undefined) return Buffer.of(Number.parseInt(hex, 16));
  const point = Number.parseInt(short ?? long ?? "", 16);
  return point > 0x10_ffff ? undefined : Buffer.from(String.fromCodePoint(point));
}
