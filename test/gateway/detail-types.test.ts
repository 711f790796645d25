import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { Metadata, type Server, type ServerUnaryCall, type sendUnaryData, status } from "@grpc/grpc-js";
import { decodeSet } from "../../src/descriptors/descriptor-codec.js";
import { loadModel } from "../../src/descriptors/load/load.js";
import { rawMethod } from "../raw-method.js";
import { startReflectionServer } from "../reflection-server.js";
import { send, startTestGateway } from "./harness.js";

const folder = mkdtempSync(join(tmpdir(), "protogate-details-"));
after(() => rmSync(folder, { recursive: true }));
const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
write("kind.proto", 'syntax = "proto3"; package d; enum Kind { NONE = 0; RUN = 1; }');
write(
  "detail.proto",
  `syntax = "proto3"; package d; import "kind.proto"; import "google/protobuf/any.proto";
   message Started { string run_id = 1; Kind kind = 2; google.protobuf.Any cause = 3; }`,
);
write("cause.proto", 'syntax = "proto3"; package d; message Cause { int64 at = 1; }');
write(
  "svc.proto",
  'syntax = "proto3"; package d; message M { string id = 1; } service S { rpc Get(M) returns (M); }',
);

const field = (number: number, value: Buffer): Buffer =>
  Buffer.concat([Buffer.of((number << 3) | 2, value.length), value]);
const any = (type: string, value: Buffer): Buffer =>
  Buffer.concat([field(1, Buffer.from(`type.googleapis.com/${type}`)), field(2, value)]);

const started = Buffer.concat([
  field(1, Buffer.from("r1")),
  Buffer.of(16, 1),
  field(3, any("d.Cause", Buffer.of(8, 5))),
]);
const startedJson = {
  "@type": "type.googleapis.com/d.Started",
  runId: "r1",
  kind: "RUN",
  cause: { "@type": "type.googleapis.com/d.Cause", at: "5" },
};
const opaque = (type: string, value: Buffer) => ({
  "@type": `type.googleapis.com/${type}`,
  value: value.toString("base64"),
});

/** A gateway before a backend that answers each call with these details. */
async function startFailing(
  details: () => readonly Buffer[],
  { silent = new Set<string>(), descriptors = "reflection: a" } = {},
) {
  const { model } = await loadModel([{ kind: "protos", folder, include: [] }]);
  const serve = (server: Server): void =>
    server.addService(
      {
        get: rawMethod("/d.S/Get"),
      },
      {
        get: (_call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => {
          const metadata = new Metadata();
          const all = details().map(each => field(3, each));
          metadata.set("grpc-status-details-bin", Buffer.concat([Buffer.of(8, 6), ...all]));
          reply({ code: status.ALREADY_EXISTS, details: "started", metadata });
        },
      },
    );
  const backend = await startReflectionServer(decodeSet(model.descriptorSet()), { silent, serve });
  const gateway = await startTestGateway(
    `
descriptors: [{ ${descriptors} }]
upstreams: { a: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: d.S, upstream: a, bindings: [convention] }]
`,
    { "only/svc.proto": 'syntax = "proto3"; package d; message M {} service S { rpc Get(M) returns (M); }' },
  );
  return {
    asked: (name: string) => backend.asked.filter(each => each.startsWith(`symbol ${name}`)).length,
    details: async () => {
      const { status: http, json } = await send(`${gateway.url}/d.S/Get`);
      assert.equal(http, 409);
      return json.details;
    },
    close: async () => {
      await gateway.close();
      backend.close();
    },
  };
}

describe("error details of an upstream that reflects", () => {
  it("types of error details are requested once each by reflection, those in a nested Any included", async () => {
    const system = await startFailing(() => [any("d.Started", started)]);
    try {
      // A slow machine may take longer than a response waits.
      while (!isDeepStrictEqual(await system.details(), [startedJson]));
      assert.deepEqual(await system.details(), [startedJson]);
      assert.deepEqual([system.asked("d.Started"), system.asked("d.Cause")], [1, 1]);
    } finally {
      await system.close();
    }
  });

  it("error details of a type that the upstream does not know either stay base64, and are requested once", async () => {
    const value = Buffer.of(8, 1);
    const system = await startFailing(() => [
      any("d.None", value),
      any("d.Cause", value),
      any("not a name", value),
    ]);
    const expected = [
      opaque("d.None", value),
      { "@type": "type.googleapis.com/d.Cause", at: "1" },
      opaque("not a name", value),
    ];
    try {
      while (!isDeepStrictEqual(await system.details(), expected));
      assert.deepEqual(await system.details(), expected);
      assert.deepEqual([system.asked("d.None"), system.asked("not a name")], [1, 0]);
    } finally {
      await system.close();
    }
  });

  it("error details are base64 while reflection does not respond, and the type is not requested again meanwhile", async () => {
    const silent = new Set(["symbol d.Started"]);
    const system = await startFailing(() => [any("d.Started", started)], { silent });
    try {
      for (let turn = 0; turn < 3; turn++) {
        assert.deepEqual(await system.details(), [opaque("d.Started", started)]);
      }
      assert.equal(system.asked("d.Started"), 1);
    } finally {
      await system.close();
    }
  });

  it("error details make the gateway request at most 256 types", async () => {
    let turn = 0;
    const system = await startFailing(() =>
      Array.from({ length: 100 }, (_, index) => any(`d.None${turn}x${index}`, Buffer.of())),
    );
    try {
      for (; turn < 4; turn++) await system.details();
      while (system.asked("d.None") < 256) await system.details();
      turn++;
      await system.details();
      assert.equal(system.asked("d.None"), 256);
    } finally {
      await system.close();
    }
  });

  it("types of error details are not requested if the descriptors come from files", async () => {
    const system = await startFailing(() => [any("d.Started", started)], { descriptors: "protos: only" });
    try {
      assert.deepEqual(await system.details(), [opaque("d.Started", started)]);
      assert.equal(system.asked("d.Started"), 0);
    } finally {
      await system.close();
    }
  });
});
