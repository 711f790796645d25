import {
  type Backend,
  echo,
  type RawHandler,
  startBackend,
  startTestGateway,
  type TestGateway,
} from "./harness.js";

/** A service whose methods give back what they were sent, with a field of every kind that input can get wrong. */
export const echoProto = `
syntax = "proto3";
package test.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";

service Echo {
  rpc Get(Item) returns (Item) { option (google.api.http) = { get: "/v1/items/{id}" }; }
  rpc Create(Item) returns (Item) { option (google.api.http) = { post: "/v1/items" body: "*" }; }
  rpc Archive(Item) returns (Item) { option (google.api.http) = { post: "/v1/items/{id}:archive" }; }
  rpc Replace(ItemRequest) returns (ItemRequest) {
    option (google.api.http) = { put: "/v1/items/{item.id}" body: "*" };
  }
  rpc Update(ItemRequest) returns (ItemRequest) {
    option (google.api.http) = { patch: "/v1/items/{item.id}" body: "item" };
  }
  rpc Rename(Item) returns (Item) { option (google.api.http) = { post: "/v1/names/{long_name}" body: "*" }; }
  rpc List(ItemList) returns (ItemList) {
    option (google.api.http) = { post: "/v1/lists" body: "*" response_body: "items" };
  }
  rpc Upload(google.api.HttpBody) returns (google.api.HttpBody) {
    option (google.api.http) = { post: "/v1/raw" body: "*" };
  }
  rpc Attach(Attachment) returns (Attachment) {
    option (google.api.http) = { post: "/v1/attachments/{name}" body: "file" };
  }
  rpc Clear(google.protobuf.Empty) returns (google.protobuf.Empty) {
    option (google.api.http) = { delete: "/v1/items" };
  }
  rpc Watch(Item) returns (stream Item) { option (google.api.http) = { get: "/v1/watch" }; }
  rpc Hidden(Item) returns (Item);
  rpc Peek(Item) returns (Item) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = { get: "/v1/peek" };
  }
}

message Item {
  string id = 1;
  int32 count = 2;
  int64 big = 3;
  bytes data = 4;
  google.protobuf.Timestamp at = 5;
  Item child = 6;
  repeated string tags = 7;
  map<string, string> labels = 8;
  Kind kind = 9;
  oneof choice {
    string left = 10;
    string right = 11;
  }
  double ratio = 12;
  bool flag = 13;
  Author author = 14;
  optional string note = 15;
  repeated Item parts = 16;
  string long_name = 17;
}

message Author { string login = 1; int32 age = 2; }
enum Kind { KIND_UNSPECIFIED = 0; SMALL = 1; LARGE = 2; }

message ItemRequest {
  Item item = 1;
  google.protobuf.FieldMask update_mask = 2;
  bool dry_run = 3;
}

message ItemList { repeated Item items = 1; }
message Attachment { string name = 1; google.api.HttpBody file = 2; string comment = 3; }
`;

const methods = [
  "Get",
  "Create",
  "Archive",
  "Replace",
  "Update",
  "List",
  "Rename",
  "Upload",
  "Attach",
  "Clear",
  "Hidden",
  "Peek",
];

export interface EchoSystem {
  readonly backend: Backend;
  readonly gateway: TestGateway;
  close(): Promise<void>;
}

/**
 * The echo backend behind a gateway.
 * @param service further keys of the service, as YAML flow entries such as `errors: problem`
 * @param yaml further top-level keys
 * @param handlers methods that do something else than echo, by name
 * @param upstreams further ones, as YAML flow entries
 * @param files further ones beside the configuration
 */
export async function startEcho(
  service = "",
  yaml = "",
  handlers: Readonly<Record<string, RawHandler>> = {},
  upstreams = "",
  files: Readonly<Record<string, string>> = {},
): Promise<EchoSystem> {
  const backend = await startBackend(
    Object.fromEntries(methods.map(name => [`/test.v1.Echo/${name}`, handlers[name] ?? echo])),
  );
  const gateway = await startTestGateway(
    `
descriptors: [{ protos: ./protos }]
upstreams: { echo: { targets: ["127.0.0.1:${backend.port}"], timeout: 30s }${upstreams === "" ? "" : `, ${upstreams}`} }
services: [{ service: test.v1.Echo, upstream: echo${service === "" ? "" : `, ${service}`} }]
telemetry: { log: { level: info } }
${yaml}`,
    { ...files, "protos/echo.proto": echoProto },
  );
  return {
    backend,
    gateway,
    close: async () => {
      await gateway.close();
      await backend.close();
    },
  };
}
