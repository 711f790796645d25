import type { Field, MessageType, Model } from "../../descriptors/model.js";
import type { JsonPolicy } from "../codec.js";
import type { JsonValue } from "../json.js";
import {
  ANY,
  DURATION,
  FIELD_MASK,
  isWrapper,
  LIST_VALUE,
  NULL_VALUE,
  noWrappers,
  type OwnWrappers,
  STRUCT,
  TIMESTAMP,
  VALUE,
} from "../well-known.js";
import {
  type Encode,
  type EncodeNode,
  type EncodeText,
  type EncodeTextSteps,
  ExtraMembers,
  singleStep,
  type TextEncoder,
} from "./encode.js";
import {
  boolValue,
  bytesValue,
  doubleValue,
  enumValue,
  floatValue,
  int32Value,
  int64Value,
  mapKeyValue,
  stringValue,
  uint32Value,
  uint64Value,
} from "./scalar-value.js";
import { bareTextEncoder, bareTextSteps, objectTextEncoder, objectTextSteps } from "./text-encoder.js";
import {
  bareEncoder,
  type EncodeField,
  memberNames,
  objectEncoder,
  type ValueWriter,
  type WriterMethod,
} from "./tree-encoder.js";
import {
  anyCopy,
  anyEncoder,
  copyDuration,
  copyFieldMask,
  copyTimestamp,
  durationValue,
  fieldMaskValue,
  timestampValue,
  valueCopy,
  valueEncoder,
  valueSteps,
} from "./well-known-encoders.js";
import type { Writer } from "./writer.js";

/** Compiles encoders for one model and policy, each at its first use. */
export class Encoders {
  readonly #model: Model;
  readonly #policy: JsonPolicy;
  readonly #wrappers: OwnWrappers;
  readonly #messages = new Map<MessageType, EncodeNode>();
  readonly #bareFields = new Map<Field, EncodeNode>();

  constructor(model: Model, policy: JsonPolicy) {
    this.#model = model;
    this.#policy = policy;
    this.#wrappers = policy.wrappers ?? noWrappers;
  }

  /** JSON value → content of the message. */
  message(type: MessageType): EncodeNode {
    let node = this.#messages.get(type);
    if (node === undefined) {
      node = lazyNode(() => this.#compile(type), this.textEncoderExcluding(type, []));
      this.#messages.set(type, node);
    }
    return node;
  }

  /** JSON value of one field → the field with its tag; null writes nothing unless it is a value of the field. */
  bareField(field: Field): EncodeNode {
    let node = this.#bareFields.get(field);
    if (node === undefined) {
      node = lazyNode(
        () => bareEncoder(this.#field(field), true),
        lazyText(
          () => bareTextEncoder(this.#field(field), true),
          () => bareTextSteps(this.#field(field), true),
        ),
      );
      this.#bareFields.set(field, node);
    }
    return node;
  }

  /**
   * The one-pass encoder of a message whose fields at these paths come from elsewhere: a text that has one of them bails.
   */
  textEncoderExcluding(type: MessageType, paths: readonly (readonly Field[])[]): TextEncoder {
    return lazyText(
      () => this.#compileText(type, paths),
      () => this.#compileSteps(type, paths),
    );
  }

  /** The same for a single field, tag included; the paths begin with that field. */
  fieldTextEncoderExcluding(field: Field, paths: readonly (readonly Field[])[]): TextEncoder {
    return lazyText(
      () => bareTextEncoder(this.#fieldApart(field, paths), true),
      () => bareTextSteps(this.#fieldApart(field, paths), true),
    );
  }

  #compile(type: MessageType): Encode {
    const first = type.fields[0];
    switch (type.fullName) {
      case TIMESTAMP:
        return timestampValue;
      case DURATION:
        return durationValue;
      case FIELD_MASK:
        return fieldMaskValue;
      case ANY:
        return anyEncoder(this.#model, this.#policy.unknownFields === "ignore", this.#wrappers, inner =>
          this.message(inner),
        );
      case VALUE:
        return this.#compileValue(type);
      default:
        return first !== undefined && isBare(type, this.#wrappers)
          ? bareEncoder({ ...this.#field(first), label: "" }, false)
          : this.#compileObject(type);
    }
  }

  #compileText(type: MessageType, apart: readonly (readonly Field[])[]): EncodeText {
    const first = type.fields[0];
    switch (type.fullName) {
      case TIMESTAMP:
        return copyTimestamp;
      case DURATION:
        return copyDuration;
      case FIELD_MASK:
        return copyFieldMask;
      case ANY:
        return anyCopy(this.message(type));
      case VALUE: {
        const { struct, list } = valueParts(type);
        if (struct === undefined || list === undefined) break;
        return valueCopy(this.message(struct), this.message(list));
      }
      default:
        if (first !== undefined && isBare(type, this.#wrappers))
          return bareTextEncoder(this.#field(first), false);
    }
    return objectTextEncoder(...this.#objectParts(type, apart));
  }

  #compileSteps(type: MessageType, apart: readonly (readonly Field[])[]): EncodeTextSteps {
    const first = type.fields[0];
    switch (type.fullName) {
      case TIMESTAMP:
      case DURATION:
      case FIELD_MASK:
      case ANY:
        return singleStep(this.#compileText(type, apart));
      case VALUE: {
        const { struct, list } = valueParts(type);
        if (struct === undefined || list === undefined) break;
        return valueSteps(this.message(struct), this.message(list));
      }
      default:
        if (first !== undefined && isBare(type, this.#wrappers))
          return bareTextSteps(this.#field(first), false);
    }
    return objectTextSteps(...this.#objectParts(type, apart));
  }

  #objectParts(
    type: MessageType,
    apart: readonly (readonly Field[])[],
  ): [fields: EncodeField[], names: ReadonlyMap<string, number>, bound: ReadonlySet<Field>] {
    const fields = type.fields.map(field => this.#fieldApart(field, apart));
    return [fields, memberNames(fields), new Set(apart.flatMap(path => (path.length === 1 ? path : [])))];
  }

  /** A field where the paths that go through it lead to fields that come from elsewhere. */
  #fieldApart(field: Field, apart: readonly (readonly Field[])[]): EncodeField {
    const item = this.#field(field);
    const inner = apart.filter(path => path[0] === field && path.length > 1).map(path => path.slice(1));
    const { message } = field;
    if (inner.length === 0 || message === undefined) return item;
    const node = lazyNode(() => this.#compile(message), this.textEncoderExcluding(message, inner));
    return { ...item, value: { kind: "message", node } };
  }

  #compileValue(type: MessageType): Encode {
    const { struct, list } = valueParts(type);
    if (struct === undefined || list === undefined) return this.#compileObject(type);
    return valueEncoder(this.message(struct), this.message(list));
  }

  #compileObject(type: MessageType): Encode {
    const fields = type.fields.map(field => this.#field(field));
    const extra = new ExtraMembers(
      this.#model,
      type,
      this.#policy.unknownFields === "ignore",
      fields.map(item => item.label),
      field => this.bareField(field),
    );
    return objectEncoder(fields, memberNames(fields), extra, type.extendable);
  }

  #field(field: Field): EncodeField {
    const label = this.#policy.names === "proto" && !field.extension ? field.name : field.jsonName;
    const { map } = field;
    return {
      field,
      label,
      value: this.#value(map?.value ?? field),
      key: map === undefined ? undefined : { convert: mapKeyValue(map.key), method: methodOf(map.key) },
      nullable: !field.repeated && takesNull(field),
    };
  }

  #value(field: Field): ValueWriter {
    if (field.message !== undefined) return { kind: "message", node: this.message(field.message) };
    if (field.enum !== undefined) {
      const ignoreUnknown = this.#policy.unknownFields === "ignore";
      const convert = enumValue(field.enum, ignoreUnknown);
      return { kind: "scalar", convert, method: "int32", sparse: ignoreUnknown };
    }
    return { kind: "scalar", convert: converterOf(field), method: methodOf(field), sparse: false };
  }
}

function takesNull(field: Field): boolean {
  return field.message?.fullName === VALUE || field.enum?.fullName === NULL_VALUE;
}

function converterOf(field: Field): (value: JsonValue) => unknown {
  switch (field.kind) {
    case "double":
      return doubleValue;
    case "float":
      return floatValue;
    case "int32":
    case "sint32":
    case "sfixed32":
      return int32Value;
    case "uint32":
    case "fixed32":
      return uint32Value;
    case "int64":
    case "sint64":
    case "sfixed64":
      return int64Value;
    case "uint64":
    case "fixed64":
      return uint64Value;
    case "bool":
      return boolValue;
    case "bytes":
      return bytesValue;
    default:
      return stringValue;
  }
}

function methodOf(field: Field): WriterMethod {
  switch (field.kind) {
    case "uint64":
      return "int64";
    case "sfixed32":
      return "fixed32";
    case "sfixed64":
      return "fixed64";
    case "enum":
    case "message":
      return "int32";
    default:
      return field.kind;
  }
}

function lazyNode(compile: () => Encode, text: TextEncoder): EncodeNode {
  const node: EncodeNode = Object.assign(text, {
    encode: (value: JsonValue, writer: Writer, depth: number) => {
      node.encode = compile();
      node.encode(value, writer, depth);
    },
  });
  return node;
}

function lazyText(compile: () => EncodeText, compileSteps: () => EncodeTextSteps): TextEncoder {
  const node: TextEncoder = {
    encodeText: (cursor, writer, depth) => {
      node.encodeText = compile();
      node.encodeText(cursor, writer, depth);
    },
    encodeTextSteps: (cursor, writer, depth, slice) => {
      node.encodeTextSteps = compileSteps();
      return node.encodeTextSteps(cursor, writer, depth, slice);
    },
  };
  return node;
}

/** Types whose JSON is that of their only field. */
function isBare(type: MessageType, wrappers: OwnWrappers): boolean {
  return type.fullName === STRUCT || type.fullName === LIST_VALUE || isWrapper(type, wrappers);
}

function valueParts(type: MessageType) {
  return { struct: type.fieldsByNumber.get(5)?.message, list: type.fieldsByNumber.get(6)?.message };
}
