import { createHash } from "node:crypto";
import type { Steps } from "../net/pace.js";
import { type DescribedApi, openApiVersion } from "./document.js";

export type DocumentFormat = "json" | "yaml";

/** Characters that are written in about one unit of work. */
const charsPerUnit = { json: 1000, yaml: 50 } as const;

/**
 * The text of a document, in UTF-8: JSON with a line for each operation and each component, so that two versions can be
 * compared, or YAML.
 */
export function* documentText(api: DescribedApi, format: DocumentFormat): Steps<Buffer> {
  const { title, tags, paths, components, unlisted } = api;
  const writer = format === "json" ? new JsonWriter() : new YamlWriter();
  const version = createHash("sha256");
  const put = (level: number, key: string, json: string): number => {
    writer.member(level, key, json);
    return json.length / charsPerUnit[format];
  };
  writer.open(1, "paths");
  for (const [path, operations] of paths) {
    writer.open(2, path);
    version.update(path);
    for (const [method, json] of operations) {
      version.update(method).update(json);
      yield put(3, method, json);
    }
    writer.close(2);
  }
  writer.close(1);
  writer.open(1, "components");
  for (const [kind, members] of components) {
    if (members.size === 0) continue;
    writer.open(2, kind);
    for (const [name, json] of members) {
      version.update(name).update(json);
      yield put(3, name, json);
    }
    writer.close(2);
  }
  writer.close(1);
  const rest: [string, string][] = [["tags", JSON.stringify(tags)]];
  if (unlisted.length > 0) rest.push(["x-protogate-unlisted", JSON.stringify(unlisted)]);
  for (const [key, json] of rest) {
    version.update(key).update(json);
    yield put(1, key, json);
  }
  // It changes when the document does; only now it is known.
  const info = { title, version: version.digest("hex").slice(0, 12) };
  const head = writer.head([
    ["openapi", JSON.stringify(openApiVersion)],
    ["info", JSON.stringify(info)],
    ["servers", JSON.stringify([{ url: "/" }])],
  ]);
  return Buffer.concat([head, ...writer.pieces, Buffer.from(writer.end)]);
}

interface DocumentWriter {
  readonly pieces: readonly Buffer[];
  readonly end: string;
  /** An object of which each member is written by itself. */
  open(level: number, key: string): void;
  member(level: number, key: string, json: string): void;
  close(level: number): void;
  /** The text before all pieces. */
  head(members: readonly (readonly [key: string, json: string])[]): Buffer;
}

class JsonWriter implements DocumentWriter {
  readonly pieces: Buffer[] = [];
  readonly end = "\n}\n";
  /** Whether the object that is open has no member yet. */
  #first = false;

  open(level: number, key: string): void {
    this.member(level, key, "{");
    this.#first = true;
  }

  member(level: number, key: string, json: string): void {
    const comma = this.#first ? "" : ",";
    this.#first = false;
    this.pieces.push(Buffer.from(`${comma}\n${"  ".repeat(level)}${JSON.stringify(key)}: ${json}`));
  }

  close(level: number): void {
    this.pieces.push(Buffer.from(this.#first ? "}" : `\n${"  ".repeat(level)}}`));
    this.#first = false;
  }

  head(members: readonly (readonly [key: string, json: string])[]): Buffer {
    return Buffer.from(`{\n${members.map(([key, json]) => `  ${JSON.stringify(key)}: ${json}`).join(",\n")}`);
  }
}

/** YAML 1.2, of which JSON's strings and numbers are a part. */
class YamlWriter implements DocumentWriter {
  readonly pieces: Buffer[] = [];
  readonly end = "";
  #empty = false;

  open(level: number, key: string): void {
    this.pieces.push(Buffer.from(`${"  ".repeat(level - 1)}${yamlText(key)}:\n`));
    this.#empty = true;
  }

  member(level: number, key: string, json: string): void {
    const value: unknown = JSON.parse(json);
    const line = `${"  ".repeat(level - 1)}${yamlText(key)}:${yamlValue(value, level)}\n`;
    this.pieces.push(Buffer.from(line));
    this.#empty = false;
  }

  close(): void {
    // `key:` and nothing is null.
    const last = this.#empty ? this.pieces.pop() : undefined;
    if (last !== undefined) this.pieces.push(Buffer.from(`${last.toString().trimEnd()} {}\n`));
    this.#empty = false;
  }

  head(members: readonly (readonly [key: string, json: string])[]): Buffer {
    const lines = members.map(([key, json]) => `${key}:${yamlValue(JSON.parse(json), 1)}\n`);
    return Buffer.from(lines.join(""));
  }
}

/** The text after `key:`. */
function yamlValue(value: unknown, level: number): string {
  const indent = "  ".repeat(level);
  if (Array.isArray(value) && value.length > 0)
    return value.map(item => `\n${indent}-${yamlItem(item, level + 1)}`).join("");
  if (isObject(value)) {
    const entries = Object.entries(value);
    if (entries.length > 0)
      return entries
        .map(([key, member]) => `\n${indent}${yamlText(key)}:${yamlValue(member, level + 1)}`)
        .join("");
  }
  return ` ${typeof value === "string" ? yamlText(value) : JSON.stringify(value)}`;
}

/** The text after `-`: the first member of an object is on the same line. */
function yamlItem(value: unknown, level: number): string {
  const text = yamlValue(value, level);
  return text.startsWith("\n") ? ` ${text.trimStart()}` : text;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Texts that need no quotes, and are not read as another type. */
const plain = /^[A-Za-z/$_][A-Za-z0-9_./$-]*( [A-Za-z0-9_./$-]+)*$/;
const reserved = /^(true|false|null|yes|no|on|off|y|n)$/i;

function yamlText(text: string): string {
  if (plain.test(text) && !reserved.test(text)) return text;
  return JSON.stringify(text).replace(
    /[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]/g,
    char => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
