import protobuf from "protobufjs";
import type { MessageType } from "../../src/descriptors/model.js";
import type { JsonPolicy } from "../../src/transcode/codec.js";
import { createCodecs } from "../../src/transcode/codecs.js";
import { parseJson } from "../../src/transcode/parse-json.js";
import { Writer } from "../../src/transcode/writer.js";
import { reflectedModel } from "./reflected-model.js";

const KINDS = [
  "double",
  "float",
  "int32",
  "int64",
  "uint32",
  "uint64",
  "sint32",
  "sint64",
  "fixed32",
  "fixed64",
  "sfixed32",
  "sfixed64",
  "bool",
  "string",
  "bytes",
];
const KEYS = KINDS.filter(kind => !["double", "float", "bytes"].includes(kind));

function lines(
  kinds: readonly string[],
  first: number,
  line: (kind: string, number: number) => string,
): string {
  return kinds.map((kind, index) => line(kind, first + index)).join("\n  ");
}

const PROTO3 = `
syntax = "proto3";
package three;
import "google/protobuf/any.proto";

message All {
  ${lines(KINDS, 1, (kind, number) => `${kind} f_${kind} = ${number};`)}
  Color f_color = 16;
  All f_all = 17;
  ${lines(KINDS, 21, (kind, number) => `optional ${kind} o_${kind} = ${number};`)}
  optional Color o_color = 36;
  ${lines(KINDS, 41, (kind, number) => `repeated ${kind} r_${kind} = ${number};`)}
  repeated Color r_color = 56;
  repeated All r_all = 57;
  repeated int32 unpacked = 58 [packed = false];
  ${lines(KINDS, 61, (kind, number) => `map<string, ${kind}> m_${kind} = ${number};`)}
  map<string, Color> m_color = 76;
  map<string, All> m_all = 77;
  ${lines(KEYS, 81, (kind, number) => `map<${kind}, string> k_${kind} = ${number};`)}
  oneof choice {
    int32 c_int32 = 101;
    string c_string = 102;
    Color c_color = 103;
    All c_all = 104;
    google.protobuf.NullValue c_null = 105;
    bytes c_bytes = 106;
  }
  string renamed = 110 [json_name = "Other Name"];
  google.protobuf.Timestamp timestamp = 201;
  google.protobuf.Duration duration = 202;
  google.protobuf.FieldMask mask = 203;
  google.protobuf.Struct struct = 204;
  google.protobuf.Value value = 205;
  google.protobuf.ListValue list = 206;
  google.protobuf.Any any = 207;
  google.protobuf.Empty empty = 208;
  google.protobuf.NullValue null = 209;
  google.protobuf.DoubleValue w_double = 211;
  google.protobuf.FloatValue w_float = 212;
  google.protobuf.Int64Value w_int64 = 213;
  google.protobuf.UInt64Value w_uint64 = 214;
  google.protobuf.Int32Value w_int32 = 215;
  google.protobuf.UInt32Value w_uint32 = 216;
  google.protobuf.BoolValue w_bool = 217;
  google.protobuf.StringValue w_string = 218;
  google.protobuf.BytesValue w_bytes = 219;
  repeated google.protobuf.Timestamp r_timestamp = 221;
  repeated google.protobuf.Value r_value = 222;
  repeated google.protobuf.Int64Value r_wrapper = 223;
  repeated google.protobuf.Any r_any = 224;
  map<string, google.protobuf.Value> m_value = 231;
  map<string, google.protobuf.Timestamp> m_timestamp = 232;
}

enum Color { BLACK = 0; RED = 1; GREEN = 2; NEGATIVE = -1; }

message Author { string login = 1; string first_name = 2; }
message Message { Author author = 1; string text = 2; map<string, string> labels = 3; repeated Item items = 4; }
message Item { double price = 1; Author owner = 2; }
message Request { Message message = 1; }
`;

const PROTO2 = `
syntax = "proto2";
package two;

message Plain {
  optional int32 number = 1;
  optional string text = 2 [default = "x"];
  optional Closed closed = 3;
  repeated Closed closeds = 4;
  map<string, Closed> closed_map = 5;
  optional group Section = 6 { optional int32 page = 1; optional Plain inner = 2; }
  repeated group Rows = 7 { optional string cell = 1; }
  oneof either { Closed left = 8; string right = 9; }
  repeated int32 loose = 10;
  extensions 100 to 1000;
}
enum Closed { ONE = 1; TWO = 2; }
message Strict { required int32 id = 1; optional string name = 2; optional Strict child = 3; }
extend Plain {
  optional int32 ext_number = 100;
  repeated string ext_texts = 101;
  optional Plain ext_plain = 102;
  repeated Closed ext_closed = 103;
}
message Scope { extend Plain { optional string scoped = 120; } }
`;

const EDITION = `
edition = "2023";
package ed;
option features.message_encoding = DELIMITED;

message Node {
  int32 id = 1;
  int32 plain = 2 [features.field_presence = IMPLICIT];
  Node child = 3;
  repeated Node children = 4;
  map<string, Leaf> leaves = 5;
  repeated int32 expanded = 6 [features.repeated_field_encoding = EXPANDED];
  Leaf prefixed = 7 [features.message_encoding = LENGTH_PREFIXED];
  oneof pick { Leaf leaf = 8; string word = 9; }
}
message Leaf { string name = 1; }
`;

/** The same schema as protobufjs sees it: the reference for messages and JSON. */
export const root = new protobuf.Root();
for (const name of ["any", "duration", "timestamp", "empty", "struct", "wrappers", "field_mask"]) {
  const file = protobuf.common.get(`google/protobuf/${name}.proto`);
  root.addJSON(file?.nested ?? {});
}
for (const source of [PROTO3, PROTO2, EDITION]) protobuf.parse(source, root);

export const model = reflectedModel(root);

export const POLICY: JsonPolicy = {
  enums: "name",
  int64: "string",
  emitDefaults: false,
  names: "json",
  unknownFields: "reject",
  depth: 100,
};

/** A type of the schema by its full name. */
export function type(name: string): MessageType {
  const found = model.message(name);
  if (found === undefined) throw new Error(`no message ${name}`);
  return found;
}

export function decode(name: string, wire: Uint8Array, policy: Partial<JsonPolicy> = {}): string {
  return createCodecs(model, { ...POLICY, ...policy })
    .message(type(name))
    .decode(wire);
}

const writer = new Writer();

export function encode(name: string, json: string, policy: Partial<JsonPolicy> = {}): Uint8Array {
  const value = parseJson(Buffer.from(json), { depth: policy.depth ?? POLICY.depth });
  writer.reset();
  createCodecs(model, { ...POLICY, ...policy })
    .message(type(name))
    .encode(value, writer);
  return writer.finish();
}

/** JSON → wire → JSON. */
export function echo(name: string, json: string, policy: Partial<JsonPolicy> = {}): string {
  return decode(name, encode(name, json, policy), policy);
}
