import { encodeFile } from "../../descriptors/descriptor-codec.js";
import type {
  EnumProto,
  FieldProto,
  FileProto,
  HasOptions,
  MessageProto,
} from "../../descriptors/descriptor-proto.js";
import { WireReader } from "../../wire/reader.js";
import { LENGTH } from "../../wire/wire-type.js";
import { WireWriter } from "../../wire/writer.js";
import { isStandard, type KeptElements, typeName } from "./closure.js";

/** A file reduced to its published elements. */
export interface PrunedFile {
  readonly bytes: Uint8Array;
  readonly dependencies: readonly string[];
  /** Full names of its elements, extensions aside. */
  readonly symbols: readonly string[];
  /** Those of them that are messages. */
  readonly messages: readonly string[];
}

/**
 * A file with the methods and types that are kept and imports of nothing else; options only where they change how messages
 * are read or methods called, comments and reserved names not at all. Undefined where nothing stays.
 * @param paths of the methods that stay
 */
export function pruneFile(
  file: FileProto,
  kept: KeptElements,
  paths: ReadonlySet<string>,
): PrunedFile | undefined {
  const pruning = new Pruning(file, kept);
  const messageType = pruning.messages(file.messageType, file.package);
  const enumType = pruning.enums(file.enumType, file.package);
  const extension = pruning.extensions(file.extension);
  const service = pruning.services(paths);
  if (messageType.length + enumType.length + service.length + extension.length === 0) return undefined;
  const { symbols, messageNames } = pruning;
  if (isStandard(file.name))
    return { bytes: encodeFile(file), dependencies: file.dependency, symbols, messages: messageNames };
  const { name, package: scope, syntax, edition } = file;
  const dependency = [...pruning.used].sort();
  const pruned: FileProto = {
    name,
    package: scope,
    dependency,
    publicDependency: [],
    weakDependency: [],
    optionDependency: [],
    messageType,
    enumType,
    service,
    extension,
    ...(syntax ? { syntax } : {}),
    ...(edition ? { edition } : {}),
    ...withOptions(file, Kept.file),
  };
  return { bytes: encodeFile(pruned), dependencies: dependency, symbols, messages: messageNames };
}

class Pruning {
  readonly #file: FileProto;
  readonly #kept: KeptElements;
  readonly #extensions: ReadonlySet<FieldProto>;
  /** Names of the files that it needs. */
  readonly used = new Set<string>();
  readonly symbols: string[] = [];
  readonly messageNames: string[] = [];

  constructor(file: FileProto, kept: KeptElements) {
    this.#file = file;
    this.#kept = kept;
    this.#extensions = new Set(kept.extensions.map(({ proto }) => proto));
  }

  messages(messages: readonly MessageProto[], scope: string): MessageProto[] {
    return messages.flatMap(message => {
      const fullName = within(scope, message.name);
      if (!this.#kept.types.has(fullName)) return [];
      this.symbols.push(fullName);
      this.messageNames.push(fullName);
      for (const { name } of [...message.field, ...message.oneofDecl])
        this.symbols.push(within(fullName, name));
      return [
        {
          name: message.name,
          field: message.field.map(field => this.#field(field)),
          extension: this.extensions(message.extension),
          nestedType: this.messages(message.nestedType, fullName),
          enumType: this.enums(message.enumType, fullName),
          extensionRange: message.extensionRange.map(({ start, end }) => ({ start, end })),
          oneofDecl: message.oneofDecl.map(oneof => ({
            name: oneof.name,
            ...withOptions(oneof, Kept.oneof),
          })),
          reservedRange: [],
          reservedName: [],
          ...withOptions(message, Kept.message),
        },
      ];
    });
  }

  enums(enums: readonly EnumProto[], scope: string): EnumProto[] {
    return enums.flatMap(each => {
      const fullName = within(scope, each.name);
      if (!this.#kept.types.has(fullName)) return [];
      this.symbols.push(fullName, ...each.value.map(({ name }) => within(scope, name)));
      return [
        {
          name: each.name,
          value: each.value.map(value => ({
            name: value.name,
            number: value.number,
            ...withOptions(value, Kept.enumValue),
          })),
          reservedRange: [],
          reservedName: [],
          ...withOptions(each, Kept.enum),
        },
      ];
    });
  }

  extensions(extensions: readonly FieldProto[]): FieldProto[] {
    return extensions.filter(each => this.#extensions.has(each)).map(each => this.#field(each));
  }

  services(paths: ReadonlySet<string>): FileProto["service"] {
    const { package: scope, service } = this.#file;
    return service.flatMap(each => {
      const fullName = within(scope, each.name);
      const methods = each.method.filter(({ name }) => paths.has(`/${fullName}/${name}`));
      if (methods.length === 0) return [];
      this.symbols.push(fullName, ...methods.map(({ name }) => within(fullName, name)));
      return [
        {
          name: each.name,
          method: methods.map(method => {
            this.#use(method.inputType);
            this.#use(method.outputType);
            const { name, inputType, outputType, clientStreaming, serverStreaming } = method;
            return {
              name,
              inputType,
              outputType,
              ...(clientStreaming ? { clientStreaming } : {}),
              ...(serverStreaming ? { serverStreaming } : {}),
              ...withOptions(method, Kept.method),
            };
          }),
          ...withOptions(each, Kept.service),
        },
      ];
    });
  }

  #field(field: FieldProto): FieldProto {
    if (field.typeName) this.#use(field.typeName);
    if (field.extendee) this.#use(field.extendee);
    const { options, ...rest } = field;
    return { ...rest, ...withOptions(field, Kept.field) };
  }

  #use(type: string): void {
    const file = this.#kept.fileOf(typeName(type));
    if (file !== undefined && file !== this.#file.name) this.used.add(file);
  }
}

function within(scope: string, name: string): string {
  return scope === "" ? name : `${scope}.${name}`;
}

/** Fields of `google.protobuf.*Options` that stay, and which of them is `features`. */
interface KeptOptions {
  readonly numbers: readonly number[];
  readonly features: number;
}

const Kept = {
  /** deprecated */
  file: { numbers: [23], features: 50 },
  /** message_set_wire_format, deprecated, map_entry, deprecated_legacy_json_field_conflicts */
  message: { numbers: [1, 3, 7, 11], features: 12 },
  /** packed, deprecated, jstype */
  field: { numbers: [2, 3, 6], features: 21 },
  oneof: { numbers: [], features: 1 },
  /** allow_alias, deprecated, deprecated_legacy_json_field_conflicts */
  enum: { numbers: [2, 3, 6], features: 7 },
  /** deprecated */
  enumValue: { numbers: [1], features: 2 },
  /** deprecated */
  service: { numbers: [33], features: 34 },
  /** deprecated, idempotency_level */
  method: { numbers: [33, 34], features: 35 },
} satisfies Record<string, KeptOptions>;

/** Features of languages are extensions from here on. */
const firstLanguageFeature = 1000;

function withOptions({ options }: HasOptions, { numbers, features }: KeptOptions): HasOptions {
  if (options === undefined || options.length === 0) return {};
  const kept = fieldsOf(options, number => numbers.includes(number) || number === features);
  const bytes = kept.map(({ number, field, content }) => {
    if (number !== features || content === undefined) return field;
    const inner = Buffer.concat(
      fieldsOf(content, each => each < firstLanguageFeature).map(({ field: bytes }) => bytes),
    );
    const writer = new WireWriter();
    writer.field(features, inner);
    return writer.finish();
  });
  return bytes.length === 0 ? {} : { options: Buffer.concat(bytes) };
}

interface OptionField {
  readonly number: number;
  /** With its tag. */
  readonly field: Uint8Array;
  /** Without tag and length; undefined where it has none. */
  readonly content: Uint8Array | undefined;
}

/** The selected fields of a serialized message; of bytes that are none, those before the fault. */
function fieldsOf(bytes: Uint8Array, isSelected: (number: number) => boolean): OptionField[] {
  const found: OptionField[] = [];
  const reader = new WireReader(bytes);
  try {
    for (let start = 0; reader.next(); start = reader.position) {
      const { number } = reader;
      const content = reader.wireType === LENGTH ? reader.delimited() : undefined;
      if (content === undefined) reader.skip();
      if (isSelected(number)) found.push({ number, field: bytes.subarray(start, reader.position), content });
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return found;
}
