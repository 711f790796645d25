import type { EnumProto, FieldProto, MessageProto, OneofProto, RangeProto } from "./descriptor-proto.js";

/** Decodes what was only looked through so far. */
export interface TypeDecoders {
  message(bytes: Uint8Array): MessageProto;
  enum(bytes: Uint8Array): EnumProto;
}

/** A message of a received file, whose members are decoded when first asked for: most messages of a large model never are. */
export class LazyMessage implements MessageProto {
  /** Full names of the types of its fields until they are resolved, those of enums after `=`. */
  references: readonly string[] | undefined;
  #decoded: MessageProto | undefined;
  readonly #bytes: Uint8Array;
  readonly #decoders: TypeDecoders;

  /** @param inOneofs whether fields are in oneofs and not marked as optional */
  constructor(
    readonly name: string,
    bytes: Uint8Array,
    readonly nestedType: LazyMessage[],
    readonly enumType: LazyEnum[],
    references: readonly string[],
    readonly inOneofs: boolean,
    decoders: TypeDecoders,
  ) {
    this.#bytes = bytes;
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
    return this.#members().options;
  }

  get visibility(): number | undefined {
    return this.#members().visibility;
  }

  /** With all that is in it, and what was changed since it was decoded. */
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
