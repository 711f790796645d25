import { WireReader } from "../wire/reader.js";
import {
  type EnumProto,
  type FieldProto,
  type MessageProto,
  type OneofProto,
  Path,
  type RangeProto,
} from "./descriptor-proto.js";

/** Decodes types that were only scanned so far. */
export interface TypeDecoders {
  message(bytes: Uint8Array): MessageProto;
  enum(bytes: Uint8Array): EnumProto;
  field(bytes: Uint8Array): FieldProto;
}

/** One field of a message that was not decoded. */
export interface FieldInMessage {
  readonly proto: FieldProto;
  readonly index: number;
}

/** A message of a received file. Members are decoded at first use: most messages of a large model are never used. */
export class LazyMessage implements MessageProto {
  /** Full names of the types of its fields until they are resolved, those of enums after `=`. */
  references: readonly string[] | undefined;
  #decoded: MessageProto | undefined;
  readonly #bytes: Uint8Array;
  readonly #options: Uint8Array | undefined;
  readonly #decoders: TypeDecoders;

  /**
   * @param inOneofs whether fields are in oneofs and not marked as optional
   * @param options undefined where there are none
   */
  constructor(
    readonly name: string,
    bytes: Uint8Array,
    readonly nestedType: LazyMessage[],
    readonly enumType: LazyEnum[],
    references: readonly string[],
    readonly inOneofs: boolean,
    options: Uint8Array | undefined,
    decoders: TypeDecoders,
  ) {
    this.#bytes = bytes;
    this.#options = options;
    this.references = references;
    this.#decoders = decoders;
  }

  get field(): FieldProto[] {
    return this.#members().field;
  }

  /** One that declares extensions is decoded at once. */
  get extension(): FieldProto[] {
    return [];
  }

  get extensionRange(): RangeProto[] {
    return this.#members().extensionRange;
  }

  get oneofDecl(): OneofProto[] {
    return this.#members().oneofDecl;
  }

  get reservedRange(): RangeProto[] {
    return this.#members().reservedRange;
  }

  get reservedName(): string[] {
    return this.#members().reservedName;
  }

  get options(): Uint8Array | undefined {
    return this.#options;
  }

  get visibility(): number | undefined {
    return this.#members().visibility;
  }

  /** The field of that name, decoded alone; undefined where there is none, it is in a oneof, or all are decoded anyway. */
  fieldNamed(name: string): FieldInMessage | undefined {
    if (this.#decoded !== undefined) return undefined;
    const reader = new WireReader(this.#bytes);
    for (let index = 0; reader.next(); ) {
      if (reader.number !== Path.MESSAGE_FIELD) {
        reader.skip();
        continue;
      }
      const field = reader.delimited();
      if (isNamed(field, name)) {
        const proto = this.#decoders.field(field);
        return Object.hasOwn(proto, "oneofIndex") && !proto.proto3Optional ? undefined : { proto, index };
      }
      index++;
    }
    return undefined;
  }

  /** The complete message, with the changes since it was decoded. */
  plain(): MessageProto {
    const message = this.#members();
    message.nestedType = this.nestedType.map(each => each.plain());
    message.enumType = this.enumType.map(each => each.plain());
    return message;
  }

  #members(): MessageProto {
    this.#decoded ??= this.#decoders.message(this.#bytes);
    return this.#decoded;
  }
}

/** The number of `name` in FieldDescriptorProto. */
const fieldName = 1;

/** Names beyond ASCII, which compilers refuse, are not found. */
function isNamed(field: Uint8Array, name: string): boolean {
  const reader = new WireReader(field);
  while (reader.next()) {
    if (reader.number === fieldName) return isText(reader.delimited(), name);
    reader.skip();
  }
  return false;
}

function isText(bytes: Uint8Array, text: string): boolean {
  if (bytes.length !== text.length) return false;
  for (let index = 0; index < bytes.length; index++)
    if (bytes[index] !== text.charCodeAt(index) || (bytes[index] as number) >= 0x80) return false;
  return true;
}

/** The same for an enum. */
export class LazyEnum implements EnumProto {
  #decoded: EnumProto | undefined;
  readonly #bytes: Uint8Array;
  readonly #decoders: TypeDecoders;

  constructor(
    readonly name: string,
    bytes: Uint8Array,
    decoders: TypeDecoders,
  ) {
    this.#bytes = bytes;
    this.#decoders = decoders;
  }

  get value(): EnumProto["value"] {
    return this.plain().value;
  }

  get reservedRange(): RangeProto[] {
    return this.plain().reservedRange;
  }

  get reservedName(): string[] {
    return this.plain().reservedName;
  }

  get options(): Uint8Array | undefined {
    return this.plain().options;
  }

  get visibility(): number | undefined {
    return this.plain().visibility;
  }

  plain(): EnumProto {
    this.#decoded ??= this.#decoders.enum(this.#bytes);
    return this.#decoded;
  }
}
