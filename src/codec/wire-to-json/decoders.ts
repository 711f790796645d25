import type { EnumType, Field, MessageType, Model } from "../../descriptors/model.js";
import type { JsonPolicy } from "../codec.js";
import {
  ANY,
  DURATION,
  FIELD_MASK,
  isWellKnown,
  isWrapper,
  LIST_VALUE,
  noWrappers,
  type OwnWrappers,
  STRUCT,
  TIMESTAMP,
  VALUE,
} from "../well-known.js";
import {
  type Decode,
  type DecodeNode,
  type DecodeSteps,
  type EntryNode,
  ExtensionPrinter,
  oneStep,
  type Print,
  type PrintSteps,
  singleStep,
  textPrinter,
  textSteps,
} from "./decode.js";
import { barePrinter, bareSteps, objectPrinter, objectSteps, wholePrinter, wholeSteps } from "./printer.js";
import { scalarPrint } from "./scalar-print.js";
import {
  asKey,
  asNumber,
  enumText,
  finiteText,
  longReaders,
  type ReadText,
  scalarReader,
} from "./scalar-text.js";
import {
  bareDecoder,
  bareDecoderSteps,
  type DecodeField,
  entryDecoder,
  entryDecoderSteps,
  type ObjectOptions,
  objectDecoder,
  objectDecoderSteps,
  type ValueReader,
} from "./text-decoder.js";
import {
  AnyPrinter,
  durationText,
  fieldMaskText,
  printTimestamp,
  timestampText,
  valuePrinter,
  valueSteps,
} from "./well-known-text.js";

/** Compiles decoders for one model and policy, each at its first use. */
export class Decoders {
  readonly #model: Model;
  readonly #policy: JsonPolicy;
  readonly #wrappers: OwnWrappers;
  readonly #messages = new Map<MessageType, DecodeNode>();
  readonly #bareFields = new Map<Field, DecodeNode>();
  readonly #any: AnyPrinter;

  constructor(model: Model, policy: JsonPolicy) {
    this.#model = model;
    this.#policy = policy;
    this.#wrappers = policy.wrappers ?? noWrappers;
    this.#any = new AnyPrinter(model, this.#wrappers, type => this.message(type));
  }

  /** Wire bytes of a message → its JSON text. */
  message(type: MessageType): DecodeNode {
    let node = this.#messages.get(type);
    if (node === undefined) {
      node = lazyNode(
        () => this.#compile(type),
        () => this.#compileDecodeSteps(type),
        () => this.#compilePrint(type),
        made => this.#compileSteps(type, made),
      );
      this.#messages.set(type, node);
    }
    return node;
  }

  /** Wire bytes of a field's parent → JSON text of the field alone, empty where it is absent. */
  bareField(field: Field): DecodeNode {
    let node = this.#bareFields.get(field);
    if (node === undefined) {
      const alone = field.oneof === undefined;
      const printOne = alone ? () => barePrinter(this.#field(field)) : undefined;
      const stepsOfOne = alone ? () => bareSteps(this.#field(field)) : textSteps;
      const all = field.oneof?.fields ?? [field];
      const fields = () => all.map(each => ({ ...this.#field(each), printed: each === field }));
      node = lazyNode(
        () => bareDecoder(fields(), ""),
        () => bareDecoderSteps(fields(), ""),
        printOne,
        stepsOfOne,
      );
      this.#bareFields.set(field, node);
    }
    return node;
  }

  /** JSON text of an absent field: `0`, `""`, `[]`, `{}`; `null` for messages. */
  zero(field: Field): string {
    if (field.map !== undefined) return "{}";
    return field.repeated ? "[]" : this.#valueZero(field);
  }

  #valueZero(field: Field): string {
    switch (field.kind) {
      case "message":
        return "null";
      case "enum":
        return this.#enumZero(field.enum!);
      case "bool":
        return "false";
      case "string":
      case "bytes":
        return '""';
      case "int64":
      case "uint64":
      case "sint64":
      case "fixed64":
      case "sfixed64":
        return this.#policy.int64 === "string" ? '"0"' : "0";
      default:
        return "0";
    }
  }

  /** `{"@type", ...}`, degraded to base64 where the type or the bytes are not understood. Never throws. */
  renderAny(typeUrl: string, value: Uint8Array): string {
    return this.#any.print(typeUrl, value, this.#policy.depth);
  }

  #compile(type: MessageType): Decode {
    if (type.fullName === ANY) return this.#any.decode;
    const text = instantOrMask(type);
    if (text !== undefined) return text;
    const fields = type.fields.map(field => this.#field(field));
    const absent = this.#absentText(type);
    return absent === undefined ? objectDecoder(fields, this.#options(type)) : bareDecoder(fields, absent);
  }

  #compileDecodeSteps(type: MessageType): DecodeSteps {
    if (type.fullName === ANY) return this.#any.decodeSteps;
    const text = instantOrMask(type);
    if (text !== undefined) return oneStep(text);
    const fields = type.fields.map(field => this.#field(field));
    const absent = this.#absentText(type);
    return absent === undefined
      ? objectDecoderSteps(fields, this.#options(type))
      : bareDecoderSteps(fields, absent);
  }

  /** The text of a message that has none of its fields, where it prints as the value of one; else undefined. */
  #absentText(type: MessageType): string | undefined {
    switch (type.fullName) {
      case VALUE:
        return "null";
      case STRUCT:
        return "{}";
      case LIST_VALUE:
        return "[]";
      default: {
        const [first] = type.fields;
        return first !== undefined && isWrapper(type, this.#wrappers) ? this.zero(first) : undefined;
      }
    }
  }

  #compilePrint(type: MessageType): Print {
    const first = type.fields[0];
    if (type.fullName === TIMESTAMP) return printTimestamp;
    if (type.fullName === VALUE) return this.#valuePrinter(type);
    if (type.fullName === STRUCT || type.fullName === LIST_VALUE || isWrapper(type, this.#wrappers)) {
      if (first !== undefined) return wholePrinter(barePrinter(this.#field(first)), this.zero(first));
    }
    if (isWellKnown(type, this.#wrappers)) return textPrinter(this.message(type));
    return objectPrinter(
      type.fields.map(field => this.#field(field)),
      this.#options(type),
    );
  }

  #compileSteps(type: MessageType, node: DecodeNode): PrintSteps {
    const first = type.fields[0];
    if (type.fullName === VALUE) {
      const [struct, list] = valueParts(type);
      if (struct === undefined || list === undefined) return textSteps(node);
      return valueSteps(this.#valuePrinter(type), this.message(struct), this.message(list));
    }
    if (type.fullName === STRUCT || type.fullName === LIST_VALUE) {
      if (first !== undefined) return wholeSteps(bareSteps(this.#field(first)), this.zero(first));
    }
    if (type.fullName === ANY) return textSteps(node);
    if (isWellKnown(type, this.#wrappers)) return singleStep(node);
    return objectSteps(
      type.fields.map(field => this.#field(field)),
      this.#options(type),
    );
  }

  #valuePrinter(type: MessageType): Print {
    const [struct, list] = valueParts(type);
    if (struct === undefined || list === undefined) return textPrinter(this.message(type));
    return valuePrinter(this.message(struct), this.message(list));
  }

  #options(type: MessageType): ObjectOptions {
    const extensions = type.extendable
      ? new ExtensionPrinter(this.#model, type.fullName, field => this.bareField(field))
      : undefined;
    return { extensions, emitDefaults: this.#policy.emitDefaults };
  }

  #field(field: Field): DecodeField {
    const name = this.#policy.names === "proto" && !field.extension ? field.name : field.jsonName;
    return { field, name, value: this.#value(field), zero: this.zero(field), printed: true };
  }

  #value(field: Field): ValueReader {
    if (field.map === undefined) return this.#single(field);
    const { key, value } = field.map;
    return {
      kind: "map",
      node: this.#entry(key, value),
      readKey: asKey(scalarReader(key)),
      entry: this.#single(value),
    };
  }

  #single(field: Field): Exclude<ValueReader, { readonly kind: "map" }> {
    if (field.message !== undefined) return { kind: "message", node: this.message(field.message) };
    const read = field.enum === undefined ? this.#scalar(field) : enumText(field.enum, this.#policy.enums);
    const print = scalarPrint(field, read, this.#valueZero(field), this.#policy.enums);
    return { kind: "text", read, print, sparse: field.enum?.closed === true };
  }

  #entry(key: Field, value: Field): EntryNode {
    const node: EntryNode = {
      decode: (reader, end, depth, entries) => {
        node.decode = entryDecoder(this.#entryKey(key), this.#entryValue(value));
        node.decode(reader, end, depth, entries);
      },
      decodeSteps: (reader, end, depth, entries, slice) => {
        node.decodeSteps = entryDecoderSteps(this.#entryKey(key), this.#entryValue(value));
        return node.decodeSteps(reader, end, depth, entries, slice);
      },
    };
    return node;
  }

  /** Entries add nothing to the path of an error. */
  #entryKey(key: Field): DecodeField {
    const read = asKey(scalarReader(key));
    return {
      ...this.#field(key),
      name: "",
      value: { kind: "text", read, print: scalarPrint(key, read, "", "name"), sparse: false },
      zero: keyText(this.zero(key)),
    };
  }

  #entryValue(value: Field): DecodeField {
    return { ...this.#field(value), name: "" };
  }

  #scalar(field: Field): ReadText {
    if (field.parent.fullName === VALUE && field.kind === "double") return finiteText;
    const read = scalarReader(field);
    return this.#policy.int64 === "number" && longReaders.has(read) ? asNumber(read) : read;
  }

  #enumZero(type: EnumType): string {
    if (type.fullName === "google.protobuf.NullValue") return "null";
    const value = type.closed ? type.values[0] : type.valuesByNumber.get(0);
    if (value === undefined) return "0";
    return this.#policy.enums === "name" ? JSON.stringify(value.name) : String(value.number);
  }
}

/** Struct and ListValue, as Value refers to them. */
function valueParts(type: MessageType): readonly [MessageType | undefined, MessageType | undefined] {
  return [type.fieldsByNumber.get(5)?.message, type.fieldsByNumber.get(6)?.message];
}

function keyText(zero: string): string {
  return zero.startsWith('"') ? zero : `"${zero}"`;
}

/** Well-known types with a text of their own. */
function instantOrMask({ fullName }: MessageType): Decode | undefined {
  switch (fullName) {
    case TIMESTAMP:
      return timestampText;
    case DURATION:
      return durationText;
    case FIELD_MASK:
      return fieldMaskText;
    default:
      return undefined;
  }
}

/** @param compilePrint undefined where one pass does not do */
function lazyNode(
  compile: () => Decode,
  compileDecodeSteps: () => DecodeSteps,
  compilePrint: (() => Print) | undefined,
  compileSteps: (node: DecodeNode) => PrintSteps,
): DecodeNode {
  const node: DecodeNode = {
    decode: (reader, end, depth) => {
      node.decode = compile();
      return node.decode(reader, end, depth);
    },
    decodeSteps: (reader, end, depth, slice) => {
      node.decodeSteps = compileDecodeSteps();
      return node.decodeSteps(reader, end, depth, slice);
    },
    print: (reader, end, out, depth) => {
      node.print = compilePrint?.() ?? textPrinter(node);
      node.print(reader, end, out, depth);
    },
    steps: (reader, end, out, depth, slice) => {
      node.steps = compileSteps(node);
      return node.steps(reader, end, out, depth, slice);
    },
  };
  return node;
}
