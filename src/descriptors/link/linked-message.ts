import { atOnce, type Steps } from "../../net/pace.js";
import { varintField } from "../../wire/reader.js";
import { type FieldProto, FieldType, Label, type OneofProto, Path } from "../descriptor-proto.js";
import { LazyMessage } from "../lazy-proto.js";
import type { EnumType, Field, MessageType, Model, Oneof, Options, Presence } from "../model.js";
import { jsonName, qualify } from "../names.js";
import { type Features, featuresField, resolveFeatures } from "./features.js";
import { LinkedElement, type LinkedFile, LinkedOptions } from "./linked-elements.js";
import type { MessageSymbol } from "./symbols.js";

const kindsByType: readonly (Field["kind"] | undefined)[] = [
  undefined,
  "double",
  "float",
  "int64",
  "uint64",
  "int32",
  "fixed64",
  "fixed32",
  "bool",
  "string",
  "message",
  "message",
  "bytes",
  "uint32",
  "enum",
  "sfixed32",
  "sfixed64",
  "sint32",
  "sint64",
];
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const PACKED_OPTION = 2;
const MAP_ENTRY_OPTION = 7;

/** The members of a message, linked at their first use: most messages of a large model are never used. */
interface Members {
  readonly fields: readonly LinkedField[];
  readonly byName: ReadonlyMap<string, LinkedField>;
  readonly byNumber: ReadonlyMap<number, LinkedField>;
  readonly oneofs: readonly Oneof[];
}

export class LinkedMessage extends LinkedElement implements MessageType {
  readonly kind = "message";
  readonly #symbol: MessageSymbol;
  readonly #inherited: Features;
  #features: Features | undefined;
  #members: Members | undefined;
  /** Fields that were linked one by one, by index. */
  #single: Map<number, LinkedField> | undefined;

  constructor(model: Model, file: LinkedFile, symbol: MessageSymbol, inherited: Features) {
    super(model, file, symbol.fullName, symbol.proto, symbol.path, "Message");
    this.#symbol = symbol;
    this.#inherited = inherited;
  }

  get mapEntry(): boolean {
    return varintField(this.options.bytes, MAP_ENTRY_OPTION) === 1;
  }

  get extendable(): boolean {
    return this.#symbol.proto.extensionRange.length > 0;
  }

  get features(): Features {
    this.#features ??= resolveFeatures(this.#inherited, this.#symbol.proto.options, featuresField.message);
    return this.#features;
  }

  get fields(): readonly LinkedField[] {
    return this.#linked().fields;
  }

  get fieldsByName(): ReadonlyMap<string, LinkedField> {
    return this.#linked().byName;
  }

  get fieldsByNumber(): ReadonlyMap<number, LinkedField> {
    return this.#linked().byNumber;
  }

  field(name: string): Field | undefined {
    const { proto } = this.#symbol;
    if (this.#members !== undefined || !(proto instanceof LazyMessage)) return this.fieldsByName.get(name);
    for (const field of this.#single?.values() ?? []) if (field.name === name) return field;
    const found = proto.fieldNamed(name);
    if (found === undefined) return this.fieldsByName.get(name);
    const field = this.#field(found.proto, found.index, this.features, undefined);
    this.#single ??= new Map();
    this.#single.set(found.index, field);
    return field;
  }

  get oneofs(): readonly Oneof[] {
    return this.#linked().oneofs;
  }

  /** Links the members now. */
  *link(): Steps {
    this.#members ??= yield* this.#link();
  }

  #linked(): Members {
    this.#members ??= atOnce(this.#link());
    return this.#members;
  }

  *#link(): Steps<Members> {
    const { proto, path } = this.#symbol;
    const oneofs: LinkedOneof[] = [];
    const features: Features[] = [];
    for (const [index, oneof] of proto.oneofDecl.entries()) {
      yield 1;
      oneofs.push(new LinkedOneof(this.model, oneof, this.file, `${path},${Path.MESSAGE_ONEOF},${index}`));
      features.push(resolveFeatures(this.features, oneof.options, featuresField.oneof));
    }
    const fields: LinkedField[] = [];
    const byName = new Map<string, LinkedField>();
    const byNumber = new Map<number, LinkedField>();
    for (const [index, field] of proto.field.entries()) {
      yield 5;
      const position =
        Object.hasOwn(field, "oneofIndex") && !field.proto3Optional ? (field.oneofIndex ?? 0) : -1;
      const linked =
        this.#single?.get(index) ??
        this.#field(field, index, features[position] ?? this.features, oneofs[position]);
      oneofs[position]?.add(linked);
      fields.push(linked);
      byName.set(linked.jsonName, linked);
      byNumber.set(linked.number, linked);
    }
    // Where a JSON name is also another field's own name, the own name decides.
    for (const field of fields) {
      yield 0.1;
      byName.set(field.name, field);
    }
    this.#single = undefined;
    return { fields, byName, byNumber, oneofs: oneofs.filter(({ fields }) => fields.length > 0) };
  }

  #field(proto: FieldProto, index: number, inherited: Features, oneof: Oneof | undefined): LinkedField {
    return new LinkedField(
      this.model,
      this.file,
      proto,
      qualify(this.fullName, proto.name),
      `${this.#symbol.path},${Path.MESSAGE_FIELD},${index}`,
      inherited,
      this,
      oneof,
      false,
    );
  }
}

class LinkedOneof implements Oneof {
  readonly name: string;
  readonly options: Options;
  readonly fields: Field[] = [];
  readonly #file: LinkedFile;
  readonly #path: string;

  constructor(model: Model, proto: OneofProto, file: LinkedFile, path: string) {
    this.name = proto.name;
    this.options = new LinkedOptions(model, proto.options, "google.protobuf.OneofOptions");
    this.#file = file;
    this.#path = path;
  }

  get comment(): string {
    return this.#file.info.at(this.#path).comment;
  }

  add(field: Field): void {
    this.fields.push(field);
  }
}

export class LinkedField extends LinkedElement implements Field {
  readonly number: number;
  readonly jsonName: string;
  readonly kind: Field["kind"];
  readonly repeated: boolean;
  readonly proto3Optional: boolean;
  readonly presence: Presence;
  readonly packed: boolean;
  readonly delimited: boolean;
  readonly utf8: boolean;
  readonly defaultText: string | undefined;
  readonly #typeName: string;
  #map: Field["map"] | null = null;

  constructor(
    model: Model,
    file: LinkedFile,
    proto: FieldProto,
    fullName: string,
    path: string,
    inherited: Features,
    readonly parent: MessageType,
    readonly oneof: Oneof | undefined,
    readonly extension: boolean,
  ) {
    super(model, file, fullName, proto, path, "Field");
    const features = resolveFeatures(inherited, proto.options, featuresField.field);
    this.#typeName = proto.typeName?.slice(1) ?? "";
    this.number = proto.number;
    this.jsonName = extension ? `[${fullName}]` : proto.jsonName || jsonName(proto.name);
    this.kind = kindsByType[proto.type] ?? "message";
    this.repeated = proto.label === Label.REPEATED;
    this.proto3Optional = proto.proto3Optional === true;
    this.presence = presenceOf(proto, features, this.kind, oneof !== undefined || extension);
    this.packed = this.repeated && packable(this.kind) && isPacked(proto, features);
    this.delimited =
      proto.type === FieldType.GROUP ||
      (proto.type === FieldType.MESSAGE && features.delimited && !parent.mapEntry && this.map === undefined);
    this.utf8 = this.kind === "string" && features.utf8;
    const text = Object.hasOwn(proto, "defaultValue") ? proto.defaultValue : undefined;
    this.defaultText = text && utf8.decode(text);
  }

  get message(): MessageType | undefined {
    return this.kind === "message" ? this.model.message(this.#typeName) : undefined;
  }

  get enum(): EnumType | undefined {
    return this.kind === "enum" ? this.model.enum(this.#typeName) : undefined;
  }

  get map(): Field["map"] {
    if (this.#map === null) this.#map = this.#linkMap();
    return this.#map;
  }

  #linkMap(): Field["map"] {
    const entry = this.repeated ? this.message : undefined;
    if (entry === undefined || !entry.mapEntry) return undefined;
    const key = entry.fieldsByNumber.get(1);
    const value = entry.fieldsByNumber.get(2);
    return key === undefined || value === undefined ? undefined : { key, value };
  }
}

function presenceOf(proto: FieldProto, features: Features, kind: Field["kind"], member: boolean): Presence {
  if (proto.label === Label.REQUIRED) return "required";
  if (proto.label === Label.REPEATED) return "implicit";
  if (member || proto.proto3Optional) return "explicit";
  if (kind === "message") return features.presence === "required" ? "required" : "explicit";
  return features.presence;
}

function packable(kind: Field["kind"]): boolean {
  return kind !== "message" && kind !== "string" && kind !== "bytes";
}

function isPacked(proto: FieldProto, features: Features): boolean {
  const option = proto.options === undefined ? undefined : varintField(proto.options, PACKED_OPTION);
  return option === undefined ? features.packed : option === 1;
}
