import type { Steps } from "../../net/pace.js";
import { varintField } from "../../wire/reader.js";
import {
  type EnumProto,
  type FieldProto,
  type HasOptions,
  type MessageProto,
  type RangeProto,
  type ServiceProto,
  scalarTypes,
} from "../descriptor-proto.js";
import type { DiagnosticList } from "../diagnostic-list.js";
import { type Field, type MessageType, type Model, maxOptionsBytes, type OptionValue } from "../model.js";
import { jsonName } from "../names.js";
import type { SourceFile } from "../source-file.js";
import { isWellKnown } from "../source-file.js";
import { RETENTION_OPTION, RETENTION_SOURCE } from "./option-encoder.js";
import { decodeMessage } from "./option-value.js";
import type { DescriptorSymbol, Duplicate } from "./symbols.js";

/** `map_entry` of google.protobuf.MessageOptions. */
const MAP_ENTRY_OPTION = 7;

/**
 * Reports the names that were defined twice with different content. Comments and positions are not compared, nor are
 * the options and reservations of reflected types: some servers leave those out.
 */
export function* checkDuplicates(
  duplicates: readonly Duplicate[],
  model: Model,
  problems: DiagnosticList,
): Steps {
  for (const { first, second } of duplicates) {
    yield 1;
    if (first.file !== second.file && isWellKnown(second.file.proto.package)) continue;
    const same = first.kind === second.kind && first.file !== second.file;
    const reflected = first.file.source === "files" || second.file.source === "files";
    const describer = reflected ? new ShapeDescriber(model) : new Describer(model);
    if (same && (yield* equal(yield* describe(first, describer), yield* describe(second, describer))))
      continue;
    const message =
      first.file === second.file
        ? `${second.kind} "${second.fullName}" is defined twice in ${fileText(second.file)}`
        : `${second.kind} "${second.fullName}" in ${fileText(second.file)} differs from the one in ${fileText(first.file)}`;
    problems.error({
      message,
      position: { file: second.file.origin, line: 0, column: 0 },
      path: second.fullName,
    });
  }
}

function fileText(file: SourceFile): string {
  return file.parsed === undefined ? `"${file.proto.name}" of ${file.origin}` : file.origin;
}

function* equal(first: readonly string[], second: readonly string[]): Steps<boolean> {
  if (first.length !== second.length) return false;
  for (const [index, part] of first.entries()) {
    yield 0.2;
    if (part !== second[index]) return false;
  }
  return true;
}

/** Texts that are the same for equal content, however it was written or serialized. */
function* describe(symbol: DescriptorSymbol, describer: Describer): Steps<string[]> {
  const syntax = symbol.file.proto.syntax === "proto2" ? "" : (symbol.file.proto.syntax ?? "");
  const parts = [syntax];
  for (const part of describer.parts(symbol)) {
    yield 5;
    parts.push(JSON.stringify(part));
  }
  return parts;
}

/** Describes a definition in parts, a part for itself and one for each of its members. */
class Describer {
  constructor(readonly model: Model) {}

  *parts(symbol: DescriptorSymbol): Generator<unknown> {
    switch (symbol.kind) {
      case "message":
        yield* this.message(symbol.proto);
        break;
      case "enum":
        yield* this.enum(symbol.proto);
        break;
      case "service":
        yield* this.service(symbol.proto);
        break;
      case "extension":
        yield this.field(symbol.proto);
        break;
    }
  }

  /** The counts keep lists of members apart. */
  *message(proto: MessageProto): Generator<unknown> {
    const { name, field, extension, nestedType, enumType, oneofDecl } = proto;
    yield [name, field.length, extension.length, nestedType.length, enumType.length, oneofDecl.length];
    yield [proto.extensionRange.map(range), proto.reservedRange.map(range), proto.reservedName];
    yield this.#options(proto, "Message");
    for (const each of [...field, ...extension]) yield this.field(each);
    for (const oneof of oneofDecl) yield [oneof.name, this.#options(oneof, "Oneof")];
    for (const each of nestedType) yield* this.message(each);
    for (const each of enumType) yield* this.enum(each);
  }

  field(proto: FieldProto): unknown {
    const { name, number, label, type, typeName = "", extendee = "", proto3Optional = false } = proto;
    const json = proto.jsonName || jsonName(name);
    const defaultValue = Object.hasOwn(proto, "defaultValue") ? defaultOf(proto) : null;
    const oneof = Object.hasOwn(proto, "oneofIndex") ? proto.oneofIndex : null;
    const options = this.#options(proto, "Field");
    return [
      name,
      number,
      label,
      type,
      typeName,
      extendee,
      json,
      proto3Optional,
      defaultValue,
      oneof,
      options,
    ];
  }

  *enum(proto: EnumProto): Generator<unknown> {
    yield [proto.name, proto.value.length, proto.reservedRange.map(range), proto.reservedName];
    yield this.#options(proto, "Enum");
    for (const value of proto.value) yield [value.name, value.number, this.#options(value, "EnumValue")];
  }

  *service(proto: ServiceProto): Generator<unknown> {
    yield [proto.name, proto.method.length, this.#options(proto, "Service")];
    for (const method of proto.method) {
      const { name, inputType, outputType, clientStreaming = false, serverStreaming = false } = method;
      yield [name, inputType, outputType, clientStreaming, serverStreaming, this.#options(method, "Method")];
    }
  }

  /** Decoded, since one value has many serializations; options that the model does not know do not count. */
  #options({ options }: HasOptions, kind: string): unknown {
    const type = this.model.message(`google.protobuf.${kind}Options`);
    if (options === undefined || options.length === 0 || type === undefined) return null;
    if (options.length > maxOptionsBytes) return Buffer.from(options).toString("hex");
    try {
      return this.#canonical(decodeMessage(type, options, this.model), type);
    } catch {
      return Buffer.from(options).toString("hex");
    }
  }

  /**
   * A form that is the same for equal values. Releases of protoc differ in whether they keep options with the retention
   * SOURCE and defaults of fields without presence.
   */
  #canonical(value: OptionValue, type: MessageType | undefined): unknown {
    if (typeof value !== "object") return scalar(value);
    if (value instanceof Uint8Array) return { hex: Buffer.from(value).toString("hex") };
    if (Array.isArray(value)) return value.map(each => this.#canonical(each, type));
    return Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([name, inner]) => {
        const field = name.startsWith("[")
          ? this.model.extensionByName(name.slice(1, -1))
          : type?.fieldsByName.get(name);
        if (field !== undefined && isLeftOut(field, inner)) return [];
        return [[name, this.#canonical(inner, field?.map?.value.message ?? field?.message)]];
      });
  }
}

/** Describes the form of messages and enums on the wire and in JSON. */
class ShapeDescriber extends Describer {
  override *message({ name, field, oneofDecl, nestedType, enumType }: MessageProto): Generator<unknown> {
    const entries = new Map(nestedType.filter(isMapEntry).map(entry => [entry.name, entry]));
    const describe = (each: FieldProto, inEntry: boolean): unknown => {
      const oneof = Object.hasOwn(each, "oneofIndex") ? oneofDecl[each.oneofIndex ?? 0]?.name : null;
      // Entries of maps have no name that all servers agree on.
      const { typeName = "" } = each;
      const entry = inEntry ? undefined : entries.get(typeName.slice(typeName.lastIndexOf(".") + 1));
      const type =
        entry === undefined ? [each.type, typeName] : entry.field.map(inner => describe(inner, true));
      return [each.name, each.number, each.label, each.jsonName || jsonName(each.name), oneof, type];
    };
    const nested = byName(nestedType.filter(each => !isMapEntry(each)));
    yield [name, field.length, nested.length, enumType.length];
    for (const each of field) yield describe(each, false);
    for (const each of nested) yield* this.message(each);
    for (const each of byName(enumType)) yield* this.enum(each);
  }

  override *enum({ name, value }: EnumProto): Generator<unknown> {
    yield [name, value.length];
    for (const each of value) yield [each.name, each.number];
  }
}

/** Releases of protoc spell one number in different ways. */
function defaultOf({ type, defaultValue = new Uint8Array() }: FieldProto): string {
  const text = Buffer.from(defaultValue).toString("latin1");
  const number = text.replace("inf", "Infinity");
  if (type === scalarTypes.get("float")) return String(Math.fround(Number(number)));
  return type === scalarTypes.get("double") ? String(Number(number)) : text;
}

function isMapEntry({ options }: HasOptions): boolean {
  return options !== undefined && varintField(options, MAP_ENTRY_OPTION) === 1;
}

/** The order of nested types means nothing, and some servers change it. */
function byName<T extends { readonly name: string }>(types: readonly T[]): T[] {
  return [...types].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function range({ start, end }: RangeProto): unknown {
  return [start, end];
}

function scalar(value: OptionValue): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  return value;
}

function isLeftOut(field: Field, value: OptionValue): boolean {
  if (varintField(field.options.bytes, RETENTION_OPTION) === RETENTION_SOURCE) return true;
  if (field.presence !== "implicit" || field.repeated) return false;
  if (field.kind === "enum") return field.enum?.valuesByNumber.get(0)?.name === value || value === 0;
  if (value instanceof Uint8Array) return value.length === 0;
  return value === "" || value === false || value === 0n || Object.is(value, 0);
}
