import protobuf from "protobufjs";
import { atOnce, type Steps } from "../net/pace.js";
import { WireReader } from "../wire/reader.js";
import { LENGTH } from "../wire/wire-type.js";
import type { EnumProto, FieldProto, FileProto, LocationProto, MessageProto } from "./descriptor-proto.js";
import { LazyEnum, LazyMessage, type TypeDecoders } from "./lazy-proto.js";
import { TypeScan } from "./type-scan.js";

/**
 * `google/protobuf/descriptor.proto` as far as linking needs it. Defaults are bytes, since those of strings need not be
 * UTF-8. Options and source info stay serialized: so custom
 * options survive byte for byte, and most of them are never looked at.
 */
const descriptorSchema = `
  syntax = "proto2";
  message FileDescriptorSet { repeated bytes file = 1; }
  message FileDescriptorProto {
    optional string name = 1;
    optional string package = 2;
    repeated string dependency = 3;
    repeated int32 public_dependency = 10;
    repeated int32 weak_dependency = 11;
    repeated string option_dependency = 15;
    repeated DescriptorProto message_type = 4;
    repeated EnumDescriptorProto enum_type = 5;
    repeated ServiceDescriptorProto service = 6;
    repeated FieldDescriptorProto extension = 7;
    optional bytes options = 8;
    optional bytes source_code_info = 9;
    optional string syntax = 12;
    optional int32 edition = 14;
  }
  message DescriptorProto {
    optional string name = 1;
    repeated FieldDescriptorProto field = 2;
    repeated FieldDescriptorProto extension = 6;
    repeated DescriptorProto nested_type = 3;
    repeated EnumDescriptorProto enum_type = 4;
    repeated ExtensionRange extension_range = 5;
    repeated OneofDescriptorProto oneof_decl = 8;
    optional bytes options = 7;
    repeated Range reserved_range = 9;
    repeated string reserved_name = 10;
    optional int32 visibility = 11;
  }
  message ExtensionRange { optional int32 start = 1; optional int32 end = 2; optional bytes options = 3; }
  message Range { optional int32 start = 1; optional int32 end = 2; }
  message FieldDescriptorProto {
    optional string name = 1;
    optional string extendee = 2;
    optional int32 number = 3;
    optional int32 label = 4;
    optional int32 type = 5;
    optional string type_name = 6;
    optional bytes default_value = 7;
    optional bytes options = 8;
    optional int32 oneof_index = 9;
    optional string json_name = 10;
    optional bool proto3_optional = 17;
  }
  message OneofDescriptorProto { optional string name = 1; optional bytes options = 2; }
  message EnumDescriptorProto {
    optional string name = 1;
    repeated EnumValueDescriptorProto value = 2;
    optional bytes options = 3;
    repeated Range reserved_range = 4;
    repeated string reserved_name = 5;
    optional int32 visibility = 6;
  }
  message EnumValueDescriptorProto { optional string name = 1; optional int32 number = 2; optional bytes options = 3; }
  message ServiceDescriptorProto {
    optional string name = 1;
    repeated MethodDescriptorProto method = 2;
    optional bytes options = 3;
  }
  message MethodDescriptorProto {
    optional string name = 1;
    optional string input_type = 2;
    optional string output_type = 3;
    optional bytes options = 4;
    optional bool client_streaming = 5;
    optional bool server_streaming = 6;
  }
  message SourceCodeInfo { repeated Location location = 1; }
  message Location {
    repeated int32 path = 1 [packed = true];
    repeated int32 span = 2 [packed = true];
    optional string leading_comments = 3;
    optional string trailing_comments = 4;
    repeated string leading_detached_comments = 6;
  }`;

const noBytes = new Uint8Array();
const root = protobuf.parse(descriptorSchema, new protobuf.Root()).root;
const fileType = root.lookupType("FileDescriptorProto");
const setType = root.lookupType("FileDescriptorSet");
const messageType = root.lookupType("DescriptorProto");
const fieldType = root.lookupType("FieldDescriptorProto");
const enumType = root.lookupType("EnumDescriptorProto");
const infoType = root.lookupType("SourceCodeInfo");
for (const type of root.nestedArray) if (type instanceof protobuf.Type) readAbsentBytesAsEmpty(type);

/** @throws RangeError or Error where the bytes are not a FileDescriptorProto. */
export function* decodeFileInSteps(bytes: Uint8Array): Steps<FileProto> {
  return (yield* decode(fileType, bytes)) as unknown as FileProto;
}

/**
 * The same, with types that are decoded at their first use, as far as they are in the form that compilers write and
 * small enough to be decoded in one piece; and the numbers of the options of its types, undefined where not all are
 * known.
 */
export function* readFileInSteps(
  bytes: Uint8Array,
): Steps<{ proto: FileProto; options: Set<number> | undefined }> {
  const scan = new TypeScan(bytes, decoders);
  const messages: MessageProto[] = [];
  const enums: EnumProto[] = [];
  const rest: Uint8Array[] = [];
  let known = true;
  const reader = new WireReader(bytes);
  for (let start = 0; reader.next(); start = reader.position) {
    const { number } = reader;
    if ((number !== FILE_MESSAGE && number !== FILE_ENUM) || reader.wireType !== LENGTH) {
      reader.skip();
      rest.push(bytes.subarray(start, reader.position));
      yield 0.2;
      continue;
    }
    const content = reader.delimited();
    const from = reader.position - content.length;
    const small = content.length <= maxLazyBytes;
    if (number === FILE_MESSAGE) {
      const lazy = small ? scan.message(from, reader.position) : undefined;
      const message = lazy ?? ((yield* decode(messageType, content)) as unknown as MessageProto);
      if (lazy === undefined) known = (yield* addOptions(message, scan.options)) && known;
      messages.push(message);
    } else {
      const lazy = small ? scan.enum(from, reader.position) : undefined;
      enums.push(lazy ?? ((yield* decode(enumType, content)) as unknown as EnumProto));
    }
    yield 0.5 + (small ? content.length / bytesPerScanUnit : 0);
  }
  const file = (yield* decode(fileType, Buffer.concat(rest))) as unknown as FileProto;
  file.messageType = messages;
  file.enumType = enums;
  return { proto: file, options: known ? scan.options : undefined };
}

/** @returns false where some are malformed */
function* addOptions(message: MessageProto, into: Set<number>): Steps<boolean> {
  const { field, oneofDecl, nestedType } = message;
  try {
    for (const { options } of [message, ...field, ...oneofDecl]) {
      const reader = new WireReader(options ?? noBytes);
      while (reader.next()) {
        into.add(reader.number);
        reader.skip();
        yield 0.1;
      }
    }
  } catch {
    return false;
  }
  for (const nested of nestedType) if (!(yield* addOptions(nested, into))) return false;
  return true;
}

/** Most bytes of a message that is decoded at its first use. */
const maxLazyBytes = 4_096;
const bytesPerScanUnit = 12;

/** The same at once. */
export function decodeFile(bytes: Uint8Array): FileProto {
  return atOnce(decodeFileInSteps(bytes));
}

export function encodeFile(file: FileProto): Uint8Array {
  const messages = file.messageType.map(each => (each instanceof LazyMessage ? each.plain() : each));
  const enums = file.enumType.map(each => (each instanceof LazyEnum ? each.plain() : each));
  return fileType.encode({ ...file, messageType: messages, enumType: enums } as never).finish();
}

/**
 * The serialized files of a FileDescriptorSet, one more than `maxFiles` where there are more.
 * @throws RangeError where the bytes are not one
 */
export function* decodeSetInSteps(bytes: Uint8Array, maxFiles: number): Steps<Uint8Array[]> {
  const files: Uint8Array[] = [];
  const reader = new WireReader(bytes);
  while (reader.next() && files.length <= maxFiles) {
    yield 0.1;
    const isFile = reader.number === SET_FILE && reader.wireType === LENGTH;
    if (isFile) files.push(reader.delimited());
    else reader.skip();
  }
  return files;
}

/** The same at once. */
export function decodeSet(bytes: Uint8Array): Uint8Array[] {
  return atOnce(decodeSetInSteps(bytes, Number.POSITIVE_INFINITY));
}

export function encodeSet(file: readonly Uint8Array[]): Uint8Array {
  return setType.encode({ file } as never).finish();
}

/** @throws RangeError or Error where the bytes are not a SourceCodeInfo. */
export function* decodeLocations(bytes: Uint8Array): Steps<LocationProto[]> {
  return ((yield* decode(infoType, bytes)) as unknown as { location: LocationProto[] }).location;
}

export function* encodeLocations(locations: readonly LocationProto[]): Steps<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (let start = 0; start < locations.length; start += locationsPerStep) {
    const location = locations.slice(start, start + locationsPerStep);
    pieces.push(infoType.encode({ location } as never).finish());
    yield location.length;
  }
  return Buffer.concat(pieces);
}

/** A part of some bytes; the end is exclusive. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** A copy of a serialized file without its source info, and where that is in it. */
export function withoutSourceInfo(bytes: Uint8Array): { left: Uint8Array; ranges: readonly Range[] } {
  const ranges: Range[] = [];
  const kept: Uint8Array[] = [];
  let start = 0;
  try {
    const reader = new WireReader(bytes);
    for (let field = 0; reader.next(); field = reader.position) {
      if (reader.number !== FILE_SOURCE_INFO || reader.wireType !== LENGTH) {
        reader.skip();
        continue;
      }
      const { byteOffset, length } = reader.delimited();
      const at = byteOffset - bytes.byteOffset;
      ranges.push({ start: at, end: at + length });
      kept.push(bytes.subarray(start, field));
      start = reader.position;
    }
  } catch {
    // The later decoding reports the error.
    return { left: bytes, ranges: [] };
  }
  return { left: Buffer.concat([...kept, bytes.subarray(start)]), ranges };
}

const decoders: TypeDecoders = {
  message: bytes => decodePiece(messageType, bytes) as unknown as MessageProto,
  enum: bytes => decodePiece(enumType, bytes) as unknown as EnumProto,
  field: bytes => decodePiece(fieldType, bytes) as unknown as FieldProto,
};

/** The numbers of `message_type` and `enum_type` in FileDescriptorProto. */
const FILE_MESSAGE = 4;
const FILE_ENUM = 5;
/** The number of `source_code_info` in FileDescriptorProto. */
const FILE_SOURCE_INFO = 9;
/** The number of `file` in FileDescriptorSet. */
const SET_FILE = 1;
const locationsPerStep = 100;
const bytesPerStep = 4_096;
const maxMessageDepth = 100;

/**
 * Decodes a message a piece a step, since parts of a serialized message are messages that merge. Repeated messages that
 * are larger than a piece are decoded the same way.
 */
function* decode(type: protobuf.Type, bytes: Uint8Array, depth = 0): Steps<protobuf.Message> {
  if (depth > maxMessageDepth) throw new RangeError("nested too deep");
  const message = decodePiece(type, bytes.subarray(0, 0));
  const reader = new WireReader(bytes);
  let start = 0;
  let end = 0;
  while (reader.next()) {
    const field = type.fieldsById[reader.number];
    const content = reader.wireType === LENGTH ? reader.delimited() : undefined;
    if (content === undefined) reader.skip();
    const inner = field?.resolve().resolvedType;
    const large = content !== undefined && content.length > bytesPerStep;
    if (field !== undefined && large && inner instanceof protobuf.Type) {
      decodePiece(type, bytes.subarray(start, end), message);
      yield unitsOf(end - start);
      const list = message as unknown as Record<string, protobuf.Message[]>;
      if (!Object.hasOwn(list, field.name)) list[field.name] = [];
      list[field.name]?.push(yield* decode(inner, content, depth + 1));
      start = reader.position;
    }
    end = reader.position;
    if (end - start < bytesPerStep) continue;
    decodePiece(type, bytes.subarray(start, end), message);
    yield unitsOf(end - start);
    start = end;
  }
  decodePiece(type, bytes.subarray(start), message);
  yield unitsOf(bytes.length - start);
  return message;
}

/** Units of a piece. Large pieces consist of source info and options, which are only copied. */
function unitsOf(bytes: number): number {
  return 1 + Math.min(bytes, bytesPerStep) / 20 + bytes / 4_000;
}

type Decode = (
  reader: protobuf.Reader,
  length: undefined,
  group: undefined,
  depth: number,
  into: protobuf.Message | undefined,
) => protobuf.Message;

/** @param into the message to merge the piece into */
function decodePiece(type: protobuf.Type, bytes: Uint8Array, into?: protobuf.Message): protobuf.Message {
  const reader = protobuf.Reader.create(bytes);
  reader.discardUnknown = false;
  return (type.decode as Decode)(reader, undefined, undefined, 0, into);
}

/** protobufjs gives an absent `bytes` field an empty array, which nothing that reads bytes can take. */
function readAbsentBytesAsEmpty({ fieldsArray, ctor }: protobuf.Type): void {
  for (const { name, type, repeated } of fieldsArray)
    if (type === "bytes" && !repeated) ctor.prototype[name] = noBytes;
}
