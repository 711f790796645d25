import { atOnce, type Steps } from "../../net/pace.js";
import { varintField } from "../../wire/reader.js";
import { type EnumValueProto, type HasOptions, type MethodProto, Path } from "../descriptor-proto.js";
import {
  type EnumType,
  type EnumValue,
  type FileDescriptor,
  type MessageType,
  type MethodType,
  type Model,
  maxOptionsBytes,
  type Options,
  type OptionValue,
  type ServiceType,
} from "../model.js";
import { qualify } from "../names.js";
import type { SourceFile } from "../source-file.js";
import { defaultFeatures, type Features, featuresField, resolveFeatures } from "./features.js";
import { decodeSingle } from "./option-value.js";
import type { SourceInfo } from "./source-info.js";
import type { EnumSymbol, ServiceSymbol } from "./symbols.js";

const noBytes = new Uint8Array();

/** Number of `deprecated` in each options message that has it. */
const deprecatedField = {
  File: 23,
  Message: 3,
  Field: 3,
  Enum: 3,
  EnumValue: 1,
  Service: 33,
  Method: 33,
} as const;

export type OptionsKind = keyof typeof deprecatedField;

const optionsTypes = Object.fromEntries(
  Object.keys(deprecatedField).map(kind => [kind, `google.protobuf.${kind}Options`]),
) as Record<OptionsKind, string>;

/** A file of the model, with the data that its elements share. */
export class LinkedFile implements FileDescriptor {
  readonly name: string;
  readonly package: string;
  readonly syntax: FileDescriptor["syntax"];
  readonly origin: string;
  readonly #source: SourceFile;
  #features: Features | undefined;

  /** @param dependencies names in the model of the files that it imports */
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
  }

  /** Not an enumerable property: two files with the same content are equal even if their source info differs. */
  get info(): SourceInfo {
    return this.#source.info;
  }

  mayHaveOption(number: number): boolean {
    return this.#source.options?.has(number) ?? true;
  }

  readLocations(): Steps {
    return this.info.decode();
  }

  get features(): Features {
    this.#features ??= resolveFeatures(
      defaultFeatures(this.syntax),
      this.#source.proto.options,
      featuresField.file,
    );
    return this.#features;
  }
}

/** Common to messages, fields, enums, values, services and methods. */
export abstract class LinkedElement {
  readonly name: string;
  readonly #proto: HasOptions;
  readonly #path: string;
  readonly #kind: OptionsKind;
  #options: Options | undefined;

  constructor(
    protected readonly model: Model,
    readonly file: LinkedFile,
    readonly fullName: string,
    proto: HasOptions & { name: string },
    path: string,
    kind: OptionsKind,
  ) {
    this.name = proto.name;
    this.#proto = proto;
    this.#path = path;
    this.#kind = kind;
  }

  get options(): Options {
    this.#options ??= new LinkedOptions(this.model, this.#proto.options, optionsTypes[this.#kind]);
    return this.#options;
  }

  get comment(): string {
    return this.file.info.at(this.#path).comment;
  }

  get line(): number {
    return this.file.info.at(this.#path).line;
  }

  get deprecated(): boolean {
    return varintField(this.options.bytes, deprecatedField[this.#kind]) === 1;
  }
}

/** Options, each decoded at its first use. */
export class LinkedOptions implements Options {
  readonly bytes: Uint8Array;
  readonly #model: Model;
  readonly #type: string;

  constructor(model: Model, bytes: Uint8Array | undefined, type: string) {
    this.bytes = bytes ?? noBytes;
    this.#model = model;
    this.#type = type;
  }

  /** A value whose bytes do not fit its definition reads as absent. */
  get(name: string): OptionValue | undefined {
    if (this.bytes.length === 0 || this.bytes.length > maxOptionsBytes) return undefined;
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

interface Members {
  readonly values: readonly EnumValue[];
  readonly byName: ReadonlyMap<string, EnumValue>;
  readonly byNumber: ReadonlyMap<number, EnumValue>;
}

/** The values are linked at their first use: most enums of a large model are never used. */
export class LinkedEnum extends LinkedElement implements EnumType {
  readonly kind = "enum";
  readonly closed: boolean;
  readonly #symbol: EnumSymbol;
  #members: Members | undefined;

  constructor(model: Model, file: LinkedFile, symbol: EnumSymbol, inherited: Features) {
    super(model, file, symbol.fullName, symbol.proto, symbol.path, "Enum");
    this.#symbol = symbol;
    this.closed = resolveFeatures(inherited, symbol.proto.options, featuresField.enum).closedEnums;
  }

  get values(): readonly EnumValue[] {
    return this.#linked().values;
  }

  get valuesByName(): ReadonlyMap<string, EnumValue> {
    return this.#linked().byName;
  }

  get valuesByNumber(): ReadonlyMap<number, EnumValue> {
    return this.#linked().byNumber;
  }

  /** Links the values now. */
  *link(): Steps {
    this.#members ??= yield* this.#link();
  }

  #linked(): Members {
    this.#members ??= atOnce(this.#link());
    return this.#members;
  }

  *#link(): Steps<Members> {
    const { proto, path, parent } = this.#symbol;
    // Values are siblings of their enum, as in C++.
    const scope = parent?.fullName ?? this.file.package;
    const values: EnumValue[] = [];
    const byName = new Map<string, EnumValue>();
    const byNumber = new Map<number, EnumValue>();
    for (const [index, value] of proto.value.entries()) {
      yield 4;
      const position = `${path},${Path.ENUM_VALUE},${index}`;
      const linked = new LinkedEnumValue(this.model, this.file, qualify(scope, value.name), value, position);
      values.push(linked);
      byName.set(linked.name, linked);
      if (!byNumber.has(linked.number)) byNumber.set(linked.number, linked);
    }
    return { values, byName, byNumber };
  }
}

class LinkedEnumValue extends LinkedElement implements EnumValue {
  readonly number: number;

  constructor(model: Model, file: LinkedFile, fullName: string, proto: EnumValueProto, path: string) {
    super(model, file, fullName, proto, path, "EnumValue");
    this.number = proto.number;
  }
}

const IDEMPOTENCY_OPTION = 34;
const idempotencyLevels = ["unknown", "no_side_effects", "idempotent"] as const;

class LinkedService extends LinkedElement implements ServiceType {
  readonly kind = "service";
  readonly methods: MethodType[] = [];

  constructor(model: Model, file: LinkedFile, symbol: ServiceSymbol) {
    super(model, file, symbol.fullName, symbol.proto, symbol.path, "Service");
  }
}

/** A service with all its methods. */
export function* linkService(model: Model, file: LinkedFile, symbol: ServiceSymbol): Steps<ServiceType> {
  const service = new LinkedService(model, file, symbol);
  for (const [index, method] of symbol.proto.method.entries()) {
    yield 3;
    const path = `${symbol.path},${Path.SERVICE_METHOD},${index}`;
    service.methods.push(new LinkedMethod(model, service, method, path));
  }
  return service;
}

class LinkedMethod extends LinkedElement implements MethodType {
  readonly path: string;
  readonly #method: MethodProto;
  #input: MessageType | undefined;
  #output: MessageType | undefined;

  constructor(
    model: Model,
    readonly service: LinkedService,
    proto: MethodProto,
    path: string,
  ) {
    super(model, service.file, qualify(service.fullName, proto.name), proto, path, "Method");
    this.path = `/${service.fullName}/${proto.name}`;
    this.#method = proto;
  }

  get clientStreaming(): boolean {
    return this.#method.clientStreaming ?? false;
  }

  get serverStreaming(): boolean {
    return this.#method.serverStreaming ?? false;
  }

  // Linking has checked that both exist.
  get input(): MessageType {
    this.#input ??= this.model.message(this.#method.inputType.slice(1))!;
    return this.#input;
  }

  get output(): MessageType {
    this.#output ??= this.model.message(this.#method.outputType.slice(1))!;
    return this.#output;
  }

  get idempotency(): MethodType["idempotency"] {
    return idempotencyLevels[varintField(this.options.bytes, IDEMPOTENCY_OPTION) ?? 0] ?? "unknown";
  }
}
