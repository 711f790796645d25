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
  type EntryNode,
  ExtensionPrinter,
  type Print,
  type PrintSteps,
  singleStep,
  textPrinter,
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
  type DecodeField,
  entryDecoder,
  type ObjectOptions,
  objectDecoder,
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
      const stepsOfOne = alone ? () => bareSteps(this.#field(field)) : singleStep;
      node = lazyNode(
        () => {
          const all = field.oneof?.fields ?? [field];
          return bareDecoder(
            all.map(each => ({ ...this.#field(each), printed: each === field })),
            "",
          );
        },
        printOne,
        stepsOfOne,
      );
      this.#bareFields.set(field, node);
    }
    return node;
  }

  /** JSON text that stands for an absent field: `0`, `""`, `[]`, `{}`; `null` for messages. */
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
    switch (type.fullName) {
      case TIMESTAMP:
        return timestampText;
      case DURATION:
        return durationText;
      case FIELD_MASK:
        return fieldMaskText;
      case ANY:
        return this.#any.decode;
      case VALUE:
        return this.#bareMessage(type, "null");
      case STRUCT:
        return this.#bareMessage(type, "{}");
      case LIST_VALUE:
        return this.#bareMessage(type, "[]");
      default: {
        if (isWrapper(type, this.#wrappers) && type.fields[0] !== undefined)
          return this.#bareMessage(type, this.zero(type.fields[0]));
        return objectDecoder(
          type.fields.map(field => this.#field(field)),
          this.#options(type),
        );
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
      if (struct === undefined || list === undefined) return singleStep(node);
      return valueSteps(this.#valuePrinter(type), this.message(struct), this.message(list));
    }
    if (type.fullName === STRUCT || type.fullName === LIST_VALUE) {
      if (first !== undefined) return wholeSteps(bareSteps(this.#field(first)), this.zero(first));
    }
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

  #bareMessage(type: MessageType, absent: string): Decode {
    return bareDecoder(
      type.fields.map(field => this.#field(field)),
      absent,
    );
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
        const read = asKey(scalarReader(key));
        // Entries add nothing to the path of an error.
        node.decode = entryDecoder(
          {
            ...this.#field(key),
            name: "",
            value: { kind: "text", read, print: scalarPrint(key, read, "", "name"), sparse: false },
            zero: keyText(this.zero(key)),
          },
          { ...this.#field(value), name: "" },
        );
        node.decode(reader, end, depth, entries);
      },
    };
    return node;
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

/** @param compilePrint undefined where one pass does not do */
function lazyNode(
  compile: () => Decode,
  compilePrint: (() => Print) | undefined,
  compileSteps: (node: DecodeNode) => PrintSteps,
): DecodeNode {
  const node: DecodeNode = {
    decode: (reader, end, depth) => {
      node.decode = compile();
      return node.decode(reader, end, depth);
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
