import type {
  EnumProto,
  FieldProto,
  HasOptions,
  MessageProto,
  RangeProto,
  ServiceProto,
} from "./descriptor-proto.js";
import { jsonName } from "./json-name.js";
import type { Model, OptionValue } from "./model.js";
import { decodeMessage } from "./option-value.js";
import type { Problems } from "./problems.js";
import type { SourceFile } from "./source-file.js";
import type { DescriptorSymbol, Duplicate } from "./symbol-table.js";
import { isWellKnown } from "./well-known.js";

/** Reports the names that were defined twice with different content. Comments and places do not count. */
export function checkDuplicates(duplicates: readonly Duplicate[], model: Model, problems: Problems): void {
  for (const { first, second } of duplicates) {
    if (first.file !== second.file && isWellKnown(second.file.proto.package)) continue;
    const same = first.kind === second.kind && first.file !== second.file;
    if (same && describe(first, model) === describe(second, model)) continue;
    const message =
      first.file === second.file
        ? `${second.kind} "${second.fullName}" is defined twice in ${whereabouts(second.file)}`
        : `${second.kind} "${second.fullName}" in ${whereabouts(second.file)} differs from the one in ${whereabouts(first.file)}`;
    problems.error({
      message,
      position: { file: second.file.origin, line: 0, column: 0 },
      path: second.fullName,
    });
  }
}

function whereabouts(file: SourceFile): string {
  return file.parsed === undefined ? `"${file.proto.name}" of ${file.origin}` : file.origin;
}

/** A text that is the same for equal content, however it was written or serialized. */
function describe(symbol: DescriptorSymbol, model: Model): string {
  const describer = new Describer(model);
  const syntax = symbol.file.proto.syntax === "proto2" ? "" : (symbol.file.proto.syntax ?? "");
  const shape = (() => {
    switch (symbol.kind) {
      case "message":
        return describer.message(symbol.proto);
      case "enum":
        return describer.enum(symbol.proto);
      case "service":
        return describer.service(symbol.proto);
      case "extension":
        return describer.field(symbol.proto);
    }
  })();
  return JSON.stringify([syntax, shape]);
}

class Describer {
  constructor(readonly model: Model) {}

  message(proto: MessageProto): unknown {
    return [
      proto.name,
      proto.field.map(field => this.field(field)),
      proto.extension.map(field => this.field(field)),
      proto.nestedType.map(nested => this.message(nested)),
      proto.enumType.map(nested => this.enum(nested)),
      proto.extensionRange.map(range),
      proto.oneofDecl.map(oneof => [oneof.name, this.#options(oneof, "Oneof")]),
      proto.reservedRange.map(range),
      proto.reservedName,
      this.#options(proto, "Message"),
    ];
  }

  field(proto: FieldProto): unknown {
    const { name, number, label, type, typeName = "", extendee = "", proto3Optional = false } = proto;
    const json = proto.jsonName || jsonName(name);
    const defaultValue = Object.hasOwn(proto, "defaultValue") ? proto.defaultValue : null;
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

  enum(proto: EnumProto): unknown {
    const values = proto.value.map(value => [value.name, value.number, this.#options(value, "EnumValue")]);
    return [
      proto.name,
      values,
      proto.reservedRange.map(range),
      proto.reservedName,
      this.#options(proto, "Enum"),
    ];
  }

  service(proto: ServiceProto): unknown {
    const methods = proto.method.map(method => {
      const { name, inputType, outputType, clientStreaming = false, serverStreaming = false } = method;
      return [name, inputType, outputType, clientStreaming, serverStreaming, this.#options(method, "Method")];
    });
    return [proto.name, methods, this.#options(proto, "Service")];
  }

  /** Decoded, since one value has many serializations; options that the model does not know do not count. */
  #options({ options }: HasOptions, kind: string): unknown {
    const type = this.model.message(`google.protobuf.${kind}Options`);
    if (options === undefined || options.length === 0 || type === undefined) return null;
    try {
      return sorted(decodeMessage(type, options, this.model));
    } catch {
      return Buffer.from(options).toString("hex");
    }
  }
}

function range({ start, end }: RangeProto): unknown {
  return [start, end];
}

function sorted(value: OptionValue): unknown {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (typeof value !== "object") return value;
  if (value instanceof Uint8Array) return { hex: Buffer.from(value).toString("hex") };
  if (Array.isArray(value)) return value.map(sorted);
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, inner]) => [name, sorted(inner)]);
}
