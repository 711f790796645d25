/** Common to all descriptor messages with options. Absent fields read as empty, as they do in decoded messages. */
export interface HasOptions {
  options?: Uint8Array | undefined;
}

export interface FileProto extends HasOptions {
  name: string;
  package: string;
  dependency: string[];
  publicDependency: number[];
  weakDependency: number[];
  optionDependency: string[];
  messageType: MessageProto[];
  enumType: EnumProto[];
  service: ServiceProto[];
  extension: FieldProto[];
  sourceCodeInfo?: Uint8Array;
  syntax?: string;
  edition?: number;
}

export interface MessageProto extends HasOptions {
  name: string;
  field: FieldProto[];
  extension: FieldProto[];
  nestedType: MessageProto[];
  enumType: EnumProto[];
  extensionRange: RangeProto[];
  oneofDecl: OneofProto[];
  reservedRange: RangeProto[];
  reservedName: string[];
  visibility?: number | undefined;
}

/** The end is exclusive in messages, inclusive in enums. */
export interface RangeProto extends HasOptions {
  start: number;
  end: number;
}

export interface FieldProto extends HasOptions {
  name: string;
  number: number;
  label: number;
  /** 0 until the type name is resolved. */
  type: number;
  typeName?: string;
  extendee?: string;
  defaultValue?: Uint8Array;
  oneofIndex?: number;
  jsonName?: string;
  proto3Optional?: boolean;
}

export interface OneofProto extends HasOptions {
  name: string;
}

export interface EnumProto extends HasOptions {
  name: string;
  value: EnumValueProto[];
  reservedRange: RangeProto[];
  reservedName: string[];
  visibility?: number | undefined;
}

export interface EnumValueProto extends HasOptions {
  name: string;
  number: number;
}

export interface ServiceProto extends HasOptions {
  name: string;
  method: MethodProto[];
}

export interface MethodProto extends HasOptions {
  name: string;
  inputType: string;
  outputType: string;
  clientStreaming?: boolean;
  serverStreaming?: boolean;
}

export interface LocationProto {
  path: number[];
  /** Line and column of the start, then of the end, from 0; the end's line is left out where it is the same. */
  span: number[];
  leadingComments?: string;
  trailingComments?: string;
}

export const Label = { OPTIONAL: 1, REQUIRED: 2, REPEATED: 3 } as const;

/** Types by their keywords in `.proto` files. */
export const scalarTypes: ReadonlyMap<string, number> = new Map([
  ["double", 1],
  ["float", 2],
  ["int64", 3],
  ["uint64", 4],
  ["int32", 5],
  ["fixed64", 6],
  ["fixed32", 7],
  ["bool", 8],
  ["string", 9],
  ["bytes", 12],
  ["uint32", 13],
  ["sfixed32", 15],
  ["sfixed64", 16],
  ["sint32", 17],
  ["sint64", 18],
]);
export const FieldType = { GROUP: 10, MESSAGE: 11, ENUM: 14, STRING: 9, BYTES: 12 } as const;

/** The highest field number. */
export const maxFieldNumber = 536_870_911;

/** Field numbers of extensions of a message with `message_set_wire_format` may exceed the limit of a tag. */
export const maxMessageSetExtension = 2_147_483_646;

/** Field numbers that source info paths are made of. */
export const Path = {
  FILE_MESSAGE: 4,
  FILE_ENUM: 5,
  FILE_SERVICE: 6,
  FILE_EXTENSION: 7,
  MESSAGE_FIELD: 2,
  MESSAGE_NESTED: 3,
  MESSAGE_ENUM: 4,
  MESSAGE_EXTENSION: 6,
  MESSAGE_ONEOF: 8,
  ENUM_VALUE: 2,
  SERVICE_METHOD: 2,
} as const;

/** `Edition` numbers by their text. */
export const editions: ReadonlyMap<string, number> = new Map([
  ["2023", 1000],
  ["2024", 1001],
  ["2026", 1002],
]);
