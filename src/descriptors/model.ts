/** The proto model: the interface of descriptors to the rest of the gateway, independent of how they were loaded. */

import type { Steps } from "../net/pace.js";

export type ScalarKind =
  | "double"
  | "float"
  | "int32"
  | "int64"
  | "uint32"
  | "uint64"
  | "sint32"
  | "sint64"
  | "fixed32"
  | "fixed64"
  | "sfixed32"
  | "sfixed64"
  | "bool"
  | "string"
  | "bytes";

/**
 * The decoded value of a custom option. Messages are objects keyed by proto field name (extensions by
 * `[full.name]`), enums are value names, 64-bit integers are bigint, maps are objects keyed by the key's text.
 */
export type OptionValue =
  | string
  | number
  | bigint
  | boolean
  | Uint8Array
  | readonly OptionValue[]
  | { readonly [name: string]: OptionValue };

/**
 * Most bytes of the options of one element that are read. They are decoded in one piece at their first use, which may
 * be within a request: 256 KiB take some 20 ms.
 */
export const maxOptionsBytes = 256 * 1024;

/** The options of one descriptor element, kept as the serialized `google.protobuf.*Options` message. */
export interface Options {
  readonly bytes: Uint8Array;
  /**
   * The value of an option by name: `deprecated`, or the full name of an extension, `google.api.http`. Where all of them
   * have more than `maxOptionsBytes`, none is read.
   */
  get(name: string): OptionValue | undefined;
}

export interface FileDescriptor {
  /** Import path, `product/app/v1/blog.proto`. */
  readonly name: string;
  readonly package: string;
  readonly syntax: "proto2" | "proto3" | "editions";
  readonly dependencies: readonly string[];
  /** Where it was loaded from, for messages to people. */
  readonly origin: string;
  /** False where none of its messages, oneofs and fields can have the option of that number. */
  mayHaveOption(number: number): boolean;
  /** Reads the positions and comments now; else the first use of them has to wait for that. */
  readLocations(): Steps;
}

interface Element {
  /** Unqualified name. */
  readonly name: string;
  /** Full name without a leading dot. */
  readonly fullName: string;
  readonly file: FileDescriptor;
  /** Leading comment (else the trailing one), comment marks removed; empty when there is none. */
  readonly comment: string;
  /** Line in the `.proto` source, from 1; 0 where unknown. */
  readonly line: number;
  readonly options: Options;
  readonly deprecated: boolean;
}

export interface MessageType extends Element {
  readonly kind: "message";
  /** In declaration order, extensions not included. */
  readonly fields: readonly Field[];
  /** By proto name and by JSON name. */
  readonly fieldsByName: ReadonlyMap<string, Field>;
  readonly fieldsByNumber: ReadonlyMap<number, Field>;
  /** As `fieldsByName` has it. That one is linked alone, where it can be. */
  field(name: string): Field | undefined;
  /** Real oneofs only: the synthetic ones of proto3 `optional` are left out. */
  readonly oneofs: readonly Oneof[];
  readonly mapEntry: boolean;
  readonly extendable: boolean;
}

export interface Oneof {
  readonly name: string;
  readonly comment: string;
  readonly options: Options;
  readonly fields: readonly Field[];
}

/** `implicit`: proto3 without `optional`, absent when it has its default. `required`: proto2 or LEGACY_REQUIRED. */
export type Presence = "explicit" | "implicit" | "required";

export interface Field extends Element {
  readonly number: number;
  /** lowerCamelCase unless the proto sets `json_name`; for an extension `[full.name]`. */
  readonly jsonName: string;
  /** The kind of the value. For a map field this is `message` (its entry); look at `map` first. */
  readonly kind: ScalarKind | "enum" | "message";
  /** Set exactly when kind is `message`. */
  readonly message: MessageType | undefined;
  /** Set exactly when kind is `enum`. */
  readonly enum: EnumType | undefined;
  /** True for repeated and for map fields. */
  readonly repeated: boolean;
  /** True for `optional` in proto3, which descriptors write as a oneof of one field. */
  readonly proto3Optional: boolean;
  /** Set exactly for map fields: the entry's key and value fields. */
  readonly map: { readonly key: Field; readonly value: Field } | undefined;
  /** Meaningless for repeated and map fields (`implicit`). */
  readonly presence: Presence;
  /** True where a repeated scalar is written packed. Readers accept both. */
  readonly packed: boolean;
  /** True for groups and for `features.message_encoding = DELIMITED`. */
  readonly delimited: boolean;
  /** True where strings must be checked for valid UTF-8. */
  readonly utf8: boolean;
  /** The real oneof that the field belongs to. */
  readonly oneof: Oneof | undefined;
  /** Default as the descriptor's text (`default_value`); undefined where none is declared. */
  readonly defaultText: string | undefined;
  /** The message that holds the field; for an extension the extended message. */
  readonly parent: MessageType;
  readonly extension: boolean;
}

export interface EnumType extends Element {
  readonly kind: "enum";
  /** In declaration order, aliases included. */
  readonly values: readonly EnumValue[];
  readonly valuesByName: ReadonlyMap<string, EnumValue>;
  /** The first declared value wins where several share a number. */
  readonly valuesByNumber: ReadonlyMap<number, EnumValue>;
  /** Closed enums (proto2) keep unknown numbers out of the field. */
  readonly closed: boolean;
}

export interface EnumValue extends Element {
  readonly number: number;
}

export interface ServiceType extends Element {
  readonly kind: "service";
  readonly methods: readonly MethodType[];
}

export interface MethodType extends Element {
  /** `/package.Service/Method`, as on the wire. */
  readonly path: string;
  readonly service: ServiceType;
  readonly input: MessageType;
  readonly output: MessageType;
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
  /** `idempotency_level` of the method's options. */
  readonly idempotency: "unknown" | "no_side_effects" | "idempotent";
}

/** All descriptors of one snapshot, linked and immutable. Names are full names without a leading dot. */
export interface Model {
  readonly files: ReadonlyMap<string, FileDescriptor>;
  readonly services: ReadonlyMap<string, ServiceType>;
  message(fullName: string): MessageType | undefined;
  enum(fullName: string): EnumType | undefined;
  /** The extension of `extendee` with that number. */
  extension(extendee: string, number: number): Field | undefined;
  extensionByName(fullName: string): Field | undefined;
  /** These files serialized as `google.protobuf.FileDescriptorProto`s, dependencies first. */
  serialize(names: ReadonlySet<string>): Steps<Uint8Array[]>;
  /** All files as one serialized `google.protobuf.FileDescriptorSet`, dependencies first, options and comments kept. */
  descriptorSet(): Uint8Array;
}
