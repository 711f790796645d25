import { asBuffer } from "../net/buffer.js";
import { LazyEnum, LazyMessage, type TypeDecoders } from "./lazy-proto.js";
import { featuresField } from "./link/features.js";

/** Thrown for bytes in a form that compilers do not write: they need a full decoding. */
const unsupported = new Error("unsupported");

/** Looks through the types of one file without decoding them. */
export class TypeScan {
  readonly #bytes: Uint8Array;
  readonly #decoders: TypeDecoders;
  /** The numbers of all options that were seen. */
  readonly options: Set<number> = new Set<number>();
  #at = 0;

  constructor(file: Uint8Array, decoders: TypeDecoders) {
    this.#bytes = file;
    this.#decoders = decoders;
  }

  /** @returns undefined where only decoding can decide what the bytes mean, or what is wrong with them */
  message(start: number, end: number): LazyMessage | undefined {
    return decodable(() => this.#message(start, end, 0));
  }

  enum(start: number, end: number): LazyEnum | undefined {
    return decodable(() => this.#enum(start, end));
  }

  #message(start: number, end: number, depth: number): LazyMessage {
    if (depth > maxDepth) throw unsupported;
    let nested = noMessages;
    let enums = noEnums;
    const references: string[] = [];
    let name = "";
    let marks = false;
    let options: Uint8Array | undefined;
    this.#at = start;
    for (
      let tag = this.#next(end, MESSAGE_VISIBILITY);
      tag !== 0;
      tag = this.#next(end, MESSAGE_VISIBILITY)
    ) {
      const stop = this.#length(end);
      switch (tag) {
        case NAME:
          if (name !== "") throw unsupported;
          name = this.#text(stop);
          break;
        case MESSAGE_FIELD:
          marks = this.#field(stop, references) || marks;
          break;
        case MESSAGE_NESTED:
          if (nested === noMessages) nested = [];
          nested.push(this.#message(this.#at, stop, depth + 1));
          break;
        case MESSAGE_ENUM:
          if (enums === noEnums) enums = [];
          enums.push(this.#enum(this.#at, stop));
          break;
        case MESSAGE_ONEOF:
          this.#named(stop, ONEOF_OPTIONS, featuresField.oneof);
          break;
        case MESSAGE_OPTIONS:
          if (options !== undefined) throw unsupported;
          options = this.#bytes.subarray(this.#at, stop);
          this.#options(stop, featuresField.message);
          break;
        case MESSAGE_RANGE:
        case MESSAGE_RESERVED_RANGE:
        case MESSAGE_RESERVED_NAME:
          break;
        default:
          throw unsupported;
      }
      this.#at = stop;
    }
    const bytes = this.#bytes.subarray(start, end);
    return new LazyMessage(name, bytes, nested, enums, references, marks, options, this.#decoders);
  }

  /** @returns whether it is in a oneof and not marked as optional */
  #field(end: number, references: string[]): boolean {
    let type = 0;
    let typeName = "";
    let inOneof = false;
    let optional = false;
    while (this.#at < end) {
      const tag = this.#varint(end);
      switch (tag) {
        case FIELD_TYPE:
          type = this.#varint(end);
          break;
        case FIELD_NUMBER:
        case FIELD_LABEL:
          this.#skipVarint(end);
          break;
        case FIELD_ONEOF:
          inOneof = true;
          this.#skipVarint(end);
          break;
        case FIELD_OPTIONAL:
          optional = this.#varint(end) !== 0;
          break;
        case FIELD_TYPE_NAME: {
          const stop = this.#length(end);
          typeName = this.#text(stop);
          break;
        }
        case FIELD_OPTIONS: {
          const stop = this.#length(end);
          this.#options(stop, featuresField.field);
          break;
        }
        case NAME:
        case FIELD_DEFAULT:
        case FIELD_JSON_NAME:
          this.#at = this.#length(end);
          break;
        default:
          throw unsupported;
      }
    }
    const named = type === TYPE_GROUP || type === TYPE_MESSAGE || type === TYPE_ENUM;
    if (named !== (typeName !== "") || type < 1 || type > maxType) throw unsupported;
    if (named) {
      if (!typeName.startsWith(".")) throw unsupported;
      references.push(type === TYPE_ENUM ? `=${typeName.slice(1)}` : typeName.slice(1));
    }
    return inOneof && !optional;
  }

  #enum(start: number, end: number): LazyEnum {
    let name = "";
    this.#at = start;
    for (let tag = this.#next(end, ENUM_VISIBILITY); tag !== 0; tag = this.#next(end, ENUM_VISIBILITY)) {
      const stop = this.#length(end);
      switch (tag) {
        case NAME:
          if (name !== "") throw unsupported;
          name = this.#text(stop);
          break;
        case ENUM_VALUE:
          this.#named(stop, VALUE_OPTIONS, 0);
          break;
        case ENUM_OPTIONS:
          this.#options(stop, featuresField.enum);
          break;
        case ENUM_RESERVED_RANGE:
        case ENUM_RESERVED_NAME:
          break;
        default:
          throw unsupported;
      }
      this.#at = stop;
    }
    return new LazyEnum(name, this.#bytes.subarray(start, end), this.#decoders);
  }

  /** The tag of the next field that has a length, 0 where there is none; the visibility is passed over. */
  #next(end: number, visibility: number): number {
    while (this.#at < end) {
      const tag = this.#varint(end);
      if (tag === 0) throw unsupported;
      if (tag !== visibility) return tag;
      this.#varint(end);
    }
    return 0;
  }

  /** A oneof or a value of an enum. */
  #named(end: number, options: number, features: number): void {
    while (this.#at < end) {
      const tag = this.#varint(end);
      if (tag === VALUE_NUMBER && options === VALUE_OPTIONS) {
        this.#skipVarint(end);
        continue;
      }
      const stop = this.#length(end);
      if (tag === options) this.#options(stop, features);
      else if (tag !== NAME) throw unsupported;
      this.#at = stop;
    }
  }

  /** Options are whole messages, and so are the features in them. */
  #options(end: number, features: number): void {
    while (this.#at < end) {
      const tag = this.#varint(end);
      if (tag < 8) throw unsupported;
      this.options.add(tag >>> 3);
      switch (tag & 7) {
        case 0:
          this.#skipVarint(end);
          break;
        case 1:
          this.#at += 8;
          break;
        case 2: {
          const stop = this.#length(end);
          if (features !== 0 && tag >>> 3 === features) this.#options(stop, 0);
          this.#at = stop;
          break;
        }
        case 5:
          this.#at += 4;
          break;
        default:
          throw unsupported;
      }
    }
    if (this.#at !== end) throw unsupported;
  }

  /** The end of the value that begins here. */
  #length(end: number): number {
    const length = this.#varint(end);
    const stop = this.#at + length;
    if (stop > end) throw unsupported;
    return stop;
  }

  /** A varint below 2^32. Greater ones are not supported here. */
  #varint(end: number): number {
    const bytes = this.#bytes;
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      if (this.#at >= end) throw unsupported;
      const byte = bytes[this.#at++] as number;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    const last = this.#at < end ? (bytes[this.#at++] as number) : maxLast + 1;
    if (last > maxLast) throw unsupported;
    return value + last * 2 ** 28;
  }

  #skipVarint(end: number): void {
    for (let count = 0; count < 10; count++) {
      if (this.#at >= end) throw unsupported;
      if ((this.#bytes[this.#at++] as number) < 0x80) return;
    }
    throw unsupported;
  }

  /** A name up to there. */
  #text(end: number): string {
    const start = this.#at;
    this.#at = end;
    const text = asBuffer(this.#bytes).toString("latin1", start, end);
    if (!nameSyntax.test(text)) throw unsupported;
    return text;
  }
}

function decodable<T>(scan: () => T): T | undefined {
  try {
    return scan();
  } catch (error) {
    if (error === unsupported) return undefined;
    throw error;
  }
}

// Shared by all messages that have none, and never changed.
const noMessages: LazyMessage[] = [];
const noEnums: LazyEnum[] = [];
const nameSyntax = /^[\w.]*$/;
const maxDepth = 64;
/** Of the fifth byte of a varint below 2^32. */
const maxLast = 15;
// Tags of `google/protobuf/descriptor.proto`: the number of the field and its wire type.
const NAME = 0x0a;
const MESSAGE_FIELD = 0x12;
const MESSAGE_NESTED = 0x1a;
const MESSAGE_ENUM = 0x22;
const MESSAGE_RANGE = 0x2a;
const MESSAGE_OPTIONS = 0x3a;
const MESSAGE_ONEOF = 0x42;
const MESSAGE_RESERVED_RANGE = 0x4a;
const MESSAGE_RESERVED_NAME = 0x52;
const MESSAGE_VISIBILITY = 0x58;
const FIELD_NUMBER = 0x18;
const FIELD_LABEL = 0x20;
const FIELD_TYPE = 0x28;
const FIELD_TYPE_NAME = 0x32;
const FIELD_DEFAULT = 0x3a;
const FIELD_OPTIONS = 0x42;
const FIELD_ONEOF = 0x48;
const FIELD_JSON_NAME = 0x52;
const FIELD_OPTIONAL = 0x88;
const ONEOF_OPTIONS = 0x12;
const ENUM_VALUE = 0x12;
const ENUM_OPTIONS = 0x1a;
const ENUM_RESERVED_RANGE = 0x22;
const ENUM_RESERVED_NAME = 0x2a;
const ENUM_VISIBILITY = 0x30;
const VALUE_NUMBER = 0x10;
const VALUE_OPTIONS = 0x1a;
const TYPE_GROUP = 10;
const TYPE_MESSAGE = 11;
const TYPE_ENUM = 14;
const maxType = 18;
