import { resolve } from "node:path";
import { isMap, isScalar, isSeq, type Node, type Pair, type Scalar, type YAMLMap, type YAMLSeq } from "yaml";
import type { FilePosition, Path } from "./diagnostic.js";
import { boundsExpectation, expectation, oneOf } from "./expectation.js";
import type { Findings } from "./findings.js";
import { type FormatName, Formats } from "./format.js";
import { nearest } from "./nearest.js";
import { defaultOf, emptyFor, requiredKeys, type SchemaNode } from "./schema.js";
import { keyText } from "./source.js";
import { hasSubstitution, type SubstitutionScope, substitute } from "./substitution.js";
import { KnownMistakes, type WrittenValue } from "./unavailable.js";

/** How many nodes may be visited: aliases can make a small file large. */
const nodeLimit = 1_000_000;

type Plain = string | number | boolean | null;

interface Read {
  readonly value: Plain;
  /** True where text was substituted, which may then be a number or a boolean. */
  readonly substituted: boolean;
}

/** The position of a value: `path` for people, `at` with `*` for indexes and for names that the user chooses. */
interface Location {
  readonly path: Path;
  readonly at: string;
}

/**
 * Turns YAML nodes into loaded values by a schema: substitution, checks, units, defaults. Every problem
 * goes to the findings; a value that has one is `undefined`, and the rest is loaded all the same.
 */
export class Decoder {
  #visited = 0;
  #mergeReported = false;

  constructor(
    readonly findings: Findings,
    readonly scope: Omit<SubstitutionScope, "folder">,
    readonly mistakes = new KnownMistakes([], new Map()),
  ) {}

  decode(
    schema: SchemaNode,
    node: Node | null | undefined,
    location: Location = { path: [], at: "" },
  ): unknown {
    if (++this.#visited > nodeLimit) {
      if (this.#visited === nodeLimit + 1) this.findings.error([], "aliases make the file too large");
      return undefined;
    }
    const target = node ? this.findings.source.resolve(node) : undefined;
    if (node && target === undefined) {
      const position = this.findings.source.positionOf(node);
      return this.#fail(location, "the alias has no anchor before it", { position });
    }
    if (isMap(target) || isSeq(target)) {
      const found = isMap(target) ? "a mapping" : "a list";
      if (this.mistakes.isUnavailable(location.at, written(target)))
        return this.#unavailable(schema, location, found);
      const list = isSeq(target) ? schema.anyOf?.find(variant => variant.type === "array") : undefined;
      if (list !== undefined && isSeq(target)) return this.#list(list, target, location);
      if (schema.anyOf !== undefined) return this.#union(schema.anyOf, schema, target, location);
      if (isMap(target) && schema.type === "object") return this.#mapping(schema, target, location);
      if (isSeq(target) && schema.type === "array") return this.#list(schema, target, location);
      return this.#mismatch(schema, location, found);
    }
    return this.#scalar(schema, target as Scalar | undefined, location);
  }

  #mapping(schema: SchemaNode, map: YAMLMap, location: Location): unknown {
    const loaded = emptyFor(schema);
    const lines = new Map<string, number>();
    const merges = map.items.some(isMerge);
    for (const pair of map.items) {
      if (isMerge(pair)) {
        this.#refuseMerge(pair, location);
        continue;
      }
      const position = this.findings.source.positionOf(pair.key);
      const key = keyText(pair);
      if (key === undefined) {
        this.findings.error(location.path, "a key is a list or a mapping; expected a name", { position });
        continue;
      }
      const path = [...location.path, key];
      const first = lines.get(key);
      if (first !== undefined) {
        this.findings.error(path, `duplicate key "${key}"; the first is on line ${first}`, { position });
        continue;
      }
      lines.set(key, position.line);
      const child = this.#child(schema, location, key, position);
      if (child === undefined) continue;
      loaded[key] = this.decode(child.schema, pair.value as Node | null, { path, at: child.at });
    }
    for (const key of requiredKeys(schema)) {
      // The merged mapping may have it.
      if (merges || lines.has(key)) continue;
      const expected = expectation(schema.properties?.[key] ?? {});
      this.findings.error(location.path, `missing key "${key}"; expected ${expected}`);
    }
    for (const [key, property] of Object.entries(schema.properties ?? {})) {
      if (!lines.has(key) && property.default !== undefined) loaded[key] = defaultOf(property);
    }
    return loaded;
  }

  /** Once a file: a file with one merge usually has many, and all of them change together. */
  #refuseMerge({ key }: Pair, location: Location): void {
    if (this.#mergeReported) return;
    this.#mergeReported = true;
    const position = this.findings.source.positionOf(key);
    this.findings.error(
      [...location.path, "<<"],
      '"<<" merges in YAML 1.1 only; give the keys here, or one alias for the whole value',
      { position },
    );
  }

  /** The schema under a key; undefined, and an error, where the mapping has no such key. */
  #child(
    schema: SchemaNode,
    location: Location,
    key: string,
    position: FilePosition,
  ): { readonly schema: SchemaNode; readonly at: string } | undefined {
    const path = [...location.path, key];
    const { properties, patternProperties } = schema;
    if (properties !== undefined && Object.hasOwn(properties, key)) {
      return { schema: properties[key] ?? {}, at: location.at === "" ? key : `${location.at}.${key}` };
    }
    for (const [pattern, value] of Object.entries(patternProperties ?? {})) {
      if (new RegExp(pattern).test(key)) return { schema: value, at: `${location.at}.*` };
    }
    if (properties === undefined) {
      const expected = schema.propertyNames?.description ?? "a name";
      this.findings.error(path, `"${key}" cannot be a name here; expected ${expected}`, { position });
      return undefined;
    }
    const refused = this.mistakes.refusedKey(location.at, key);
    if (refused !== undefined) {
      this.findings.error(path, refused, { position });
      return undefined;
    }
    const suggestion = nearest(key, Object.keys(properties));
    const known = suggestion === undefined ? `; expected ${oneOf(Object.keys(properties))}` : "";
    this.findings.error(path, `unknown key "${key}"${known}`, { position, suggestion });
    return undefined;
  }

  #list(schema: SchemaNode, list: YAMLSeq, location: Location): unknown {
    const { items = {}, minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema;
    const count = list.items.length;
    if (count < minItems || count > maxItems) {
      const bound = count < minItems ? `at least ${minItems}` : `at most ${maxItems}`;
      return this.#fail(
        location,
        `expected ${bound} ${bound.endsWith(" 1") ? "item" : "items"}, found ${count}`,
      );
    }
    const seen = new Set<unknown>();
    return list.items.map((item, index) => {
      const path = [...location.path, index];
      const value = this.decode(items, item as Node | null, { path, at: `${location.at}.*` });
      if (schema.uniqueItems && value !== undefined && seen.has(value)) {
        this.findings.error(path, `${this.findings.show(path, value as Plain)} is listed twice`);
      }
      seen.add(value);
      return value;
    });
  }

  /** Several shapes of a mapping are distinguished by the keys that they require. */
  #union(
    variants: readonly SchemaNode[],
    schema: SchemaNode,
    node: YAMLMap | YAMLSeq,
    location: Location,
  ): unknown {
    const shapes = variants.filter(variant => variant.type === "object");
    if (!isMap(node) || shapes.length === 0) {
      return this.#mismatch(schema, location, isMap(node) ? "a mapping" : "a list");
    }
    if (shapes.length === 1) return this.#mapping(shapes[0] ?? {}, node, location);
    if (shapes.every(each => each.properties?.type?.enum !== undefined)) {
      return this.#typed(shapes, node, location);
    }
    const merge = node.items.find(isMerge);
    if (merge !== undefined) return void this.#refuseMerge(merge, location);
    const keys = node.items.flatMap(pair => keyText(pair) ?? []);
    const [shape, ...others] = shapes.filter(each => requiredKeys(each).some(key => keys.includes(key)));
    if (shape !== undefined && others.length === 0) return this.#mapping(shape, node, location);
    const known = shapes.flatMap(requiredKeys);
    if (shape !== undefined) {
      const found = known.filter(key => keys.includes(key)).join(" and ");
      return this.#fail(location, `expected only one of the keys ${oneOf(known)}, found ${found}`);
    }
    const suggestion = keys.map(key => nearest(key, known)).find(name => name !== undefined);
    return this.#fail(location, `expected one of the keys ${oneOf(known)}`, { suggestion });
  }

  /** Shapes that the value of `type` distinguishes. */
  #typed(shapes: readonly SchemaNode[], map: YAMLMap, location: Location): unknown {
    const words = shapes.flatMap(each => each.properties?.type?.enum ?? []).map(String);
    const pair = map.items.find(each => keyText(each) === "type");
    const merge = map.items.find(isMerge);
    if (pair === undefined && merge !== undefined) return void this.#refuseMerge(merge, location);
    if (pair === undefined) return this.#fail(location, `missing key "type"; expected ${oneOf(words)}`);
    const at = { path: [...location.path, "type"], at: `${location.at}.type` };
    const node = pair.value ? this.findings.source.resolve(pair.value as Node) : undefined;
    if (isMap(node) || isSeq(node)) return this.#mismatch({ enum: words }, at, "no word");
    const read = this.#read(node as Scalar | undefined, at.path);
    if (read === undefined) return undefined;
    const shape = shapes.find(each => each.properties?.type?.enum?.includes(String(read.value)));
    if (shape !== undefined) return this.#mapping(shape, map, location);
    const shown = this.findings.show(at.path, read.value);
    return this.#mismatch({ enum: words }, at, shown, nearest(String(read.value), words));
  }

  #scalar(schema: SchemaNode, node: Scalar | undefined, location: Location): unknown {
    const read = this.#read(node, location.path);
    if (read === undefined) return undefined;
    const secret = schema.format === undefined ? undefined : Formats[schema.format].secret;
    if (secret !== undefined) this.findings.keepSecret(location.path, undefined, secret);
    const shown = this.findings.show(location.path, read.value);
    const value = read.substituted ? converted(read.value, schema) : read.value;
    if (this.mistakes.isUnavailable(location.at, { kind: "scalar", value }))
      return this.#unavailable(schema, location, shown);
    if (schema.enum !== undefined) {
      if (schema.enum.includes(value as string | number)) return value;
      const suggestion = typeof value === "string" ? nearest(value, schema.enum.map(String)) : undefined;
      return this.#mismatch(schema, location, shown, suggestion);
    }
    const formatted = (by: SchemaNode, format: FormatName): unknown =>
      this.#formatted(by, format, value, shown, location, node);
    if (schema.format !== undefined) return formatted(schema, schema.format);
    const variant = schema.anyOf?.find(each => takes(each, value));
    if (variant?.format !== undefined) return formatted(variant, variant.format);
    return variant !== undefined || takes(schema, value) ? value : this.#mismatch(schema, location, shown);
  }

  #formatted(
    schema: SchemaNode,
    name: FormatName,
    value: Plain,
    shown: string,
    location: Location,
    node: Scalar | undefined,
  ): unknown {
    const plainNumber = typeof value === "number" && schema.type?.includes("integer");
    const text = plainNumber ? String(value) : value;
    const loaded = typeof text === "string" ? Formats[name].read(text) : undefined;
    if (loaded === undefined) {
      return this.#mismatch(schema, location, shown, this.#respell(schema, name, value, location));
    }
    if (typeof loaded === "number" && !within(loaded, schema)) {
      return this.#fail(location, `expected ${boundsExpectation(schema)}, found ${shown}`);
    }
    const isPath = Formats[name].isPath?.(String(loaded)) ?? false;
    if (!isPath) return loaded;
    const file = resolve(this.findings.source.folderOf(node), String(loaded));
    this.scope.reads?.(file);
    return file;
  }

  /** A text near the value that would be accepted; undefined where none is, or where it would reveal a secret. */
  #respell(schema: SchemaNode, name: FormatName, value: Plain, { path }: Location): string | undefined {
    if (typeof value !== "string" || this.findings.isSecret(path)) return undefined;
    const suggestion = Formats[name].suggest?.(value);
    const loaded = suggestion === undefined ? undefined : Formats[name].read(suggestion);
    if (loaded === undefined || (typeof loaded === "number" && !within(loaded, schema))) return undefined;
    return suggestion;
  }

  /** The scalar's value after substitution; undefined, and errors, where that failed. */
  #read(node: Scalar | undefined, path: Path): Read | undefined {
    const value = isScalar(node) ? (node.value as Plain) : null;
    if (typeof value !== "string" || !hasSubstitution(value)) return { value, substituted: false };
    const { text, secret, problems } = substitute(value, {
      ...this.scope,
      folder: this.findings.source.folderOf(node),
    });
    for (const problem of problems) this.findings.error(path, problem);
    if (secret) this.findings.keepSecret(path, value, "always");
    return problems.length === 0 ? { value: text, substituted: true } : undefined;
  }

  #unavailable(schema: SchemaNode, location: Location, found: string): undefined {
    const available = schema.type === "integer" ? String(schema.default) : expectation(schema);
    return this.#fail(location, `${found} is not available in this version; expected ${available}`);
  }

  #mismatch(schema: SchemaNode, location: Location, found: string, suggestion?: string): undefined {
    return this.#fail(location, `expected ${expectation(schema)}, found ${found}`, { suggestion });
  }

  #fail(location: Location, message: string, more: Parameters<Findings["error"]>[2] = {}): undefined {
    this.findings.error(location.path, message, more);
    return undefined;
  }
}

function written(node: YAMLMap | YAMLSeq): WrittenValue {
  return isSeq(node)
    ? { kind: "list" }
    : { kind: "mapping", keys: node.items.flatMap(pair => keyText(pair) ?? []) };
}

/** A key `<<` without quotes: YAML 1.1 would put the keys of its value into the mapping. */
function isMerge({ key }: Pair): boolean {
  return isScalar(key) && key.value === "<<" && key.type === "PLAIN";
}

/** A substituted text for a number or a boolean, converted; anything else as the text. */
function converted(value: Plain, schema: SchemaNode): Plain {
  const takesNumber = [schema, ...(schema.anyOf ?? [])].some(
    ({ type, enum: words }) => type === "integer" || type === "number" || typeof words?.[0] === "number",
  );
  if (takesNumber && typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value)) return Number(value);
  const takesBoolean = schema.type === "boolean" || schema.anyOf?.some(each => each.const !== undefined);
  if (takesBoolean && (value === "true" || value === "false")) return value === "true";
  return value;
}

/** Whether a scalar is of the schema's kind; the format of its text is not checked. */
function takes(schema: SchemaNode, value: Plain): boolean {
  if (schema.const !== undefined) return schema.const === value;
  if (schema.enum !== undefined) return schema.enum.includes(value as string | number);
  if (schema.format !== undefined) return typeof value === "string";
  if (schema.type === "boolean") return typeof value === "boolean";
  return (
    typeof value === "number" &&
    Number.isFinite(value) &&
    within(value, schema) &&
    (schema.type === "number" || (schema.type === "integer" && Number.isSafeInteger(value)))
  );
}

function within(value: number, { minimum, maximum }: SchemaNode): boolean {
  return value >= (minimum ?? Number.NEGATIVE_INFINITY) && value <= (maximum ?? Number.POSITIVE_INFINITY);
}
