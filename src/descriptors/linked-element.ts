import type { HasOptions } from "./descriptor-proto.js";
import { defaultFeatures, FEATURES_FIELD, type Features, resolveFeatures } from "./features.js";
import type { FileDescriptor, MessageType, Model, Options, OptionValue } from "./model.js";
import { decodeSingle } from "./option-value.js";
import type { SourceFile } from "./source-file.js";
import { SourceInfo } from "./source-info.js";
import { varintField } from "./wire.js";

const EMPTY = new Uint8Array();

/** Number of `deprecated` in each options message that has it. */
const DEPRECATED_FIELD = {
  File: 23,
  Message: 3,
  Field: 3,
  Enum: 3,
  EnumValue: 1,
  Service: 33,
  Method: 33,
} as const;

export type OptionsKind = keyof typeof DEPRECATED_FIELD;

/** A file of the model, with what its elements share. */
export class LinkedFile implements FileDescriptor {
  readonly name: string;
  readonly package: string;
  readonly syntax: FileDescriptor["syntax"];
  readonly origin: string;
  readonly #source: SourceFile;
  readonly #info: SourceInfo;
  #features: Features | undefined;

  /** @param dependencies names in the model of what it imports */
  constructor(
    source: SourceFile,
    readonly dependencies: readonly string[],
  ) {
    this.#source = source;
    const { proto } = source;
    this.name = source.name;
    this.package = proto.package;
    this.syntax = proto.syntax === "proto3" || proto.syntax === "editions" ? proto.syntax : "proto2";
    this.origin = source.origin;
    this.#info = new SourceInfo(proto.sourceCodeInfo);
  }

  /** Kept off the enumerable properties: two files with the same content are equal whatever their source info. */
  get info(): SourceInfo {
    return this.#info;
  }

  get features(): Features {
    this.#features ??= resolveFeatures(
      defaultFeatures(this.syntax),
      this.#source.proto.options,
      FEATURES_FIELD.file,
    );
    return this.#features;
  }
}

/** What messages, fields, enums, values, services and methods have in common. */
export abstract class LinkedElement {
  readonly name: string;
  readonly options: Options;
  readonly #path: string;
  readonly #kind: OptionsKind;

  constructor(
    protected readonly model: Model,
    readonly file: LinkedFile,
    readonly fullName: string,
    proto: HasOptions & { name: string },
    path: string,
    kind: OptionsKind,
  ) {
    this.name = proto.name;
    this.#path = path;
    this.#kind = kind;
    this.options = new LinkedOptions(model, proto.options, `google.protobuf.${kind}Options`);
  }

  get comment(): string {
    return this.file.info.at(this.#path).comment;
  }

  get line(): number {
    return this.file.info.at(this.#path).line;
  }

  get deprecated(): boolean {
    return varintField(this.options.bytes, DEPRECATED_FIELD[this.#kind]) === 1;
  }
}

/** Options that are decoded one by one when asked for. */
export class LinkedOptions implements Options {
  readonly bytes: Uint8Array;
  readonly #model: Model;
  readonly #type: string;

  constructor(model: Model, bytes: Uint8Array | undefined, type: string) {
    this.bytes = bytes ?? EMPTY;
    this.#model = model;
    this.#type = type;
  }

  /** A value whose bytes do not fit its definition reads as absent. */
  get(name: string): OptionValue | undefined {
    if (this.bytes.length === 0) return undefined;
    const type: MessageType | undefined = this.#model.message(this.#type);
    const field = type?.fieldsByName.get(name) ?? this.#model.extensionByName(name);
    if (field === undefined || field.parent !== type) return undefined;
    try {
      return decodeSingle(field, this.bytes, this.#model);
    } catch (error) {
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }
}
