import type { Steps } from "../net/pace.js";
import type { Document } from "./document.js";

export type DocumentFormat = "json" | "yaml";

/** A document that is longer than what may be served. */
export class DocumentTooLarge extends Error {
  override readonly name = "DocumentTooLarge";
}

/** Characters that are written in about one unit of work. */
const charsPerUnit = 200;

/** Levels of the document whose members stand on lines of their own: `paths` and its paths, `components` and what it has. */
const openLevels = 3;

/**
 * The text of a document, in UTF-8. JSON has a line for each path and each component, so that two versions can be compared.
 * @throws DocumentTooLarge
 */
export function* documentText(document: Document, format: DocumentFormat, maxBytes: number): Steps<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  const parts = format === "json" ? jsonParts(document, 0) : yamlParts(document, 0);
  for (const part of parts) {
    const bytes = Buffer.from(part);
    size += bytes.length;
    if (size > maxBytes) throw new DocumentTooLarge();
    pieces.push(bytes);
    yield part.length / charsPerUnit;
  }
  pieces.push(Buffer.from("\n"));
  return Buffer.concat(pieces);
}

type Members = { readonly [key: string]: unknown };

function* jsonParts(object: Members, level: number): Generator<string> {
  const indent = "  ".repeat(level + 1);
  let separator = "{\n";
  for (const [key, value] of Object.entries(object)) {
    const begin = `${separator}${indent}${JSON.stringify(key)}: `;
    separator = ",\n";
    if (level + 1 < openLevels && isOpen(value, key, level)) {
      yield begin;
      yield* jsonParts(value, level + 1);
    } else yield `${begin}${JSON.stringify(value)}`;
  }
  yield separator === "{\n" ? "{}" : `\n${"  ".repeat(level)}}`;
}

function isOpen(value: unknown, key: string, level: number): value is Members {
  const opens = level > 0 || key === "paths" || key === "components";
  return opens && isObject(value) && (level === 0 || !("responses" in value && "operationId" in value));
}

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** YAML 1.2, of which JSON's strings and numbers are a part. */
function* yamlParts(value: Members, level: number): Generator<string> {
  const indent = "  ".repeat(level);
  for (const [key, member] of Object.entries(value)) {
    const begin = `${level === 0 ? "" : "\n"}${indent}${yamlKey(key)}:`;
    const line = level === 0 && key !== "openapi" ? `\n${begin}` : begin;
    if (level < 2 && isObject(member) && Object.keys(member).length > 0) {
      yield line;
      yield* yamlParts(member, level + 1);
    } else yield `${line}${yamlValue(member, level + 1)}`;
  }
}

/** What follows `key:`. */
function yamlValue(value: unknown, level: number): string {
  const indent = "  ".repeat(level);
  if (Array.isArray(value) && value.length > 0)
    return value.map(item => `\n${indent}-${yamlItem(item, level + 1)}`).join("");
  if (isObject(value)) {
    const entries = Object.entries(value);
    if (entries.length > 0)
      return entries
        .map(([key, member]) => `\n${indent}${yamlKey(key)}:${yamlValue(member, level + 1)}`)
        .join("");
  }
  return ` ${yamlScalar(value)}`;
}

/** What follows `-`: the first member of an object stands on the same line. */
function yamlItem(value: unknown, level: number): string {
  const text = yamlValue(value, level);
  return isObject(value) && text.startsWith("\n") ? ` ${text.trimStart()}` : text;
}

function yamlScalar(value: unknown): string {
  if (typeof value === "string") return yamlText(value);
  return JSON.stringify(value);
}

/** Texts that can stand without quotes, and are not taken for something else. */
const plain = /^[A-Za-z/$_][A-Za-z0-9_./$-]*( [A-Za-z0-9_./$-]+)*$/;
const reserved = /^(true|false|null|yes|no|on|off|y|n)$/i;

function yamlText(text: string): string {
  if (plain.test(text) && !reserved.test(text)) return text;
  return JSON.stringify(text).replace(
    /[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]/g,
    char => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function yamlKey(key: string): string {
  return yamlText(key);
}
