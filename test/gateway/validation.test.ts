import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { engineUnderTest } from "../engine.js";
import { type Backend, echo, send, startBackend, startTestGateway, type TestGateway } from "./harness.js";

const proto = `
syntax = "proto3";
package meet.v1;
import "buf/validate/validate.proto";
import "google/api/annotations.proto";

service Meetings {
  rpc GetToken(TokenRequest) returns (TokenRequest) {
    option (google.api.http) = { post: "/user/rtc/get_token" body: "*"
      additional_bindings { get: "/rooms/{room}/token" } };
  }
  rpc Unchecked(TokenRequest) returns (TokenRequest) { option (google.api.http) = { post: "/unchecked" body: "*" }; }
  rpc Divide(Division) returns (Division) { option (google.api.http) = { get: "/divide/{by}" }; }
  rpc Free(.meet.v1.Free) returns (.meet.v1.Free) { option (google.api.http) = { get: "/free/{by}" }; }
}

message TokenRequest {
  string room = 1 [(buf.validate.field).string = {min_len: 1, max_len: 64}];
  string identity = 2 [(buf.validate.field).required = true];
  repeated Guest guests = 3;
}
message Guest { string display_name = 1 [(buf.validate.field).string.min_len = 1]; }
message Division { int32 by = 1 [(buf.validate.field).cel = {id: "by", message: "odd", expression: "1 / this < 5"}]; }
message Free { int32 by = 1; }
`;

const post = (body: unknown): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

describe(`rules of request messages (${engineUnderTest()})`, () => {
  let backend: Backend;
  let gateway: TestGateway;

  before(async () => {
    const methods = ["GetToken", "Unchecked", "Divide", "Free"];
    backend = await startBackend(
      Object.fromEntries(methods.map(name => [`/meet.v1.Meetings/${name}`, echo])),
    );
    gateway = await startTestGateway(
      `
descriptors: [{ protos: ./protos }]
upstreams: { meet: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: meet.v1.Meetings, upstream: meet, methods: { Unchecked: { validate: false } } }]
`,
      { "protos/meet.proto": proto },
    );
  });
  after(async () => {
    await gateway.close();
    await backend.close();
  });

  it("a message that keeps its rules passes", async () => {
    const body = { room: "Dallas", identity: "jdoe", guests: [{ displayName: "Bob" }] };
    const reply = await send(`${gateway.url}/user/rtc/get_token`, post(body));
    assert.equal(reply.status, 200);
    assert.deepEqual(reply.json, body);
  });

  it("a message that breaks its rules is refused with a typed detail for each field, before the backend is called", async () => {
    const before = backend.calls.length;
    const reply = await send(`${gateway.url}/user/rtc/get_token`, post({ room: "", guests: [{}] }));
    assert.equal(reply.status, 400);
    assert.deepEqual(reply.json, {
      code: 3,
      reason: "VALIDATION_FAILED",
      message: "room: must be at least 1 characters (and 2 more)",
      details: [
        {
          "@type": "type.googleapis.com/google.rpc.BadRequest",
          fieldViolations: [
            { field: "room", description: "must be at least 1 characters", reason: "STRING_MIN_LEN" },
            { field: "identity", description: "value is required", reason: "REQUIRED" },
            {
              field: "guests[0].display_name",
              description: "must be at least 1 characters",
              reason: "STRING_MIN_LEN",
            },
          ],
        },
      ],
    });
    assert.equal(backend.calls.length, before);
  });

  it("rules hold for fields of path, query and body", async () => {
    assert.equal((await send(`${gateway.url}/rooms/Dallas/token?identity=jdoe`)).status, 200);
    const reply = await send(`${gateway.url}/rooms/Dallas/token?identity=`);
    assert.equal(reply.json.message, "identity: value is required");
    const long = await send(`${gateway.url}/rooms/${"x".repeat(65)}/token?identity=jdoe`);
    assert.equal(long.json.message, "room: must be at most 64 characters");
  });

  it("rules are not enforced with validate: false", async () => {
    assert.equal((await send(`${gateway.url}/unchecked`, post({}))).status, 200);
  });

  it("a rule that fails to evaluate is 500, and the log says why", async () => {
    assert.equal((await send(`${gateway.url}/divide/1`)).status, 200);
    const reply = await send(`${gateway.url}/divide/0`);
    assert.equal(reply.status, 500);
    assert.equal(reply.json.reason, "INTERNAL");
    assert.doesNotMatch(reply.text, /zero/);
    const line = await gateway.logged(({ status }) => status === 500);
    assert.match(String(line.detail), /a rule of meet.v1.Division failed: int divide by zero/);
  });

  it("broken rules are counted by method", async () => {
    const { text } = await send(`${gateway.admin}/metrics`);
    const lines = text.split("\n").filter(line => line.startsWith("protogate_validation_failures_total"));
    assert.deepEqual(lines.sort(), [
      'protogate_validation_failures_total{grpc_service="meet.v1.Meetings",grpc_method="Divide"} 0',
      'protogate_validation_failures_total{grpc_service="meet.v1.Meetings",grpc_method="GetToken"} 3',
    ]);
  });

  it("rules that cannot be compiled are a load error", async () => {
    const broken = proto.replace('expression: "1 / this < 5"', 'expression: "1 / thiss < 5"');
    await assert.rejects(
      startTestGateway(
        `
descriptors: [{ protos: ./protos }]
upstreams: { meet: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: meet.v1.Meetings, upstream: meet }]
`,
        { "protos/meet.proto": broken },
      ),
      /meet\.proto:23: error: a buf\.validate rule cannot be used: unresolved attribute \(at meet\.v1\.Division\.by\)/,
    );
  });
});
