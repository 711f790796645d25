import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { startTrpcServer, type TrpcServer } from "../../../src/demo/trpc/server.js";
import { Code } from "../../../src/status/code.js";
import { type System, startSystem } from "../../contracts/system.js";

const root = resolve(import.meta.dirname, "../../..");
const path = "/messaging.query.v1.MessageService/GetMessage";

/** A GetMessageResponse with this text. */
const withText = (text: string): Buffer =>
  Buffer.concat([Buffer.from([0x0a, text.length]), Buffer.from(text)]);

describe("a gateway in front of a tRPC server", () => {
  let server: TrpcServer;
  let system: System;
  before(async () => {
    server = await startTrpcServer({
      methods: new Map([
        [
          path,
          ({ header, body }) => {
            const [, kind, number] = /(ret|func_ret)(-?\d+)/.exec(body.toString("latin1")) ?? [];
            if (kind === "ret") return { ret: Number(number), message: "the framework says no" };
            if (kind === "func_ret") return { funcRet: Number(number), message: "the business says no" };
            if (body.includes("lost")) for (const socket of server.connections) socket.destroy();
            if (body.includes("silent") || body.includes("lost")) return undefined;
            return { body: withText(header.metadata().get("x-user") ?? "nobody") };
          },
        ],
      ]),
    });
    system = await startSystem(join(root, "config/examples/trpc.yaml"), {
      change: yaml =>
        yaml
          .replace(/127\.0\.0\.1:\$\{DEMO_TRPC_PORT[^"]*/, server.address)
          .replace("timeout: 5s", "timeout: 200ms")
          .replace("retry: { attempts: 2, on: [UNAVAILABLE] }", "")
          .replace(
            "services:\n",
            "services:\n  - { service: chat.v1.Rooms, upstream: messaging, bindings: [auto] }\n",
          )
          .replace(
            "service_defaults:\n",
            "service_defaults:\n  metadata: { request: [x-user], response: [trpc-ret] }\n",
          ),
    });
  });
  after(async () => {
    await system.close();
    await server.close();
  });

  const get = (id: string) => system.send("GET", `/v1/messages/${id}`);

  it("a gateway in front of a tRPC server passes declared headers on as trans_info", async () => {
    const answer = await system.send("GET", "/v1/messages/1", { headers: { "x-user": "ann" } });
    assert.deepEqual(JSON.parse(answer.body), { text: "ann" });
  });

  const frameworkStatuses: readonly (readonly [ret: number, status: number, code: number])[] = [
    [11, 501, 12],
    [12, 501, 12],
    [21, 504, 4],
    [24, 504, 4],
    [22, 429, 8],
    [23, 429, 8],
    [41, 401, 16],
    [1, 400, 3],
    [51, 400, 3],
    [2, 500, 13],
    [31, 500, 13],
    [171, 500, 13],
    [999, 500, 2],
  ];
  for (const [ret, status, code] of frameworkStatuses)
    it(`ret ${ret} of tRPC's framework is HTTP ${status}`, async () => {
      const answer = await get(`ret${ret}`);
      assert.equal(answer.status, status, answer.body);
      const body = JSON.parse(answer.body);
      assert.deepEqual([body.code, body.message], [code, "the framework says no"]);
    });

  const businessStatuses: readonly (readonly [funcRet: number, status: number])[] = [
    [3, 400],
    [5, 404],
    [12, 500],
    [10_001, 409],
    [70_000, 500],
    [-1, 500],
  ];
  for (const [funcRet, status] of businessStatuses)
    it(`func_ret ${funcRet} of a tRPC backend is HTTP ${status}, as status_codes says, and stays in the body`, async () => {
      const answer = await get(`func_ret${funcRet}`);
      assert.equal(answer.status, status, answer.body);
      assert.deepEqual(JSON.parse(answer.body), {
        code: funcRet,
        reason: `CODE_${funcRet}`,
        message: "the business says no",
        details: [],
      });
    });

  it("a tRPC call without response is 504, and one whose connection is lost 503", async () => {
    assert.equal((await get("silent")).status, 504);
    const lost = await get("lost");
    assert.deepEqual([lost.status, JSON.parse(lost.body).reason], [503, "UPSTREAM_UNAVAILABLE"]);
    assert.equal((await get("1")).status, 200);
  });

  it("a method that streams is a warning when the configuration is loaded, and its calls get 501", async () => {
    const warnings = system.log().filter(line => line.includes("StreamHistory streams"));
    assert.equal(warnings.length, 1, system.log().join(""));
    const answer = await system.send("POST", "/chat.v1.Rooms/StreamHistory", { body: {} });
    assert.deepEqual([answer.status, JSON.parse(answer.body).reason], [501, "STREAMING_NOT_SUPPORTED"]);
  });

  it("Connect, gRPC-Web and REST reach a tRPC method through one binding", async () => {
    const connect = await system.send("POST", path, {
      headers: { "connect-protocol-version": "1", "x-user": "ann" },
      body: { messageId: "1" },
    });
    assert.deepEqual([connect.status, JSON.parse(connect.body)], [200, { text: "ann" }], connect.body);
    const refused = await system.send("POST", path, {
      headers: { "connect-protocol-version": "1" },
      body: { messageId: "func_ret5" },
    });
    assert.deepEqual(JSON.parse(refused.body), { code: "unknown", message: "the business says no" });
    assert.equal(refused.headers["trpc-func-ret"], "5");
    const web = await fetch(`http://127.0.0.1:${system.httpPort}${path}`, {
      method: "POST",
      headers: { "content-type": "application/grpc-web+proto" },
      body: Buffer.concat([Buffer.from([0, 0, 0, 0, 3, 0x0a, 1]), Buffer.from("1")]),
    });
    const bytes = Buffer.from(await web.arrayBuffer());
    assert.ok(bytes.includes("nobody") && bytes.includes("grpc-status: 0"), bytes.toString("latin1"));
  });

  it("a gRPC client and Connect in its binary form reach a tRPC method, errors of the business and of the framework included", async () => {
    const text = (value: string): Buffer =>
      Buffer.concat([Buffer.from([0x0a, value.length]), Buffer.from(value)]);
    const connect = (id: string) =>
      fetch(`http://127.0.0.1:${system.httpPort}${path}`, {
        method: "POST",
        headers: { "content-type": "application/proto", "x-user": "ann" },
        body: text(id),
      });
    const fine = await connect("1");
    assert.equal(fine.headers.get("content-type"), "application/proto");
    assert.deepEqual(Buffer.from(await fine.arrayBuffer()), withText("ann"));
    const refused = await connect("ret41");
    assert.deepEqual([refused.status, refused.headers.get("trailer-trpc-ret")], [401, "41"]);
    assert.equal(((await refused.json()) as { code: string }).code, "unauthenticated");

    const client = new Client(`127.0.0.1:${system.httpPort}`, credentials.createInsecure());
    const same = (bytes: Buffer): Buffer => bytes;
    const grpc = (id: string): Promise<{ error: ServiceError | null; message: Buffer | undefined }> =>
      new Promise(resolve => {
        const metadata = new Metadata();
        metadata.set("x-user", "ann");
        client.makeUnaryRequest(path, same, same, text(id), metadata, (error, message) =>
          resolve({ error, message }),
        );
      });
    try {
      assert.deepEqual(await grpc("1"), { error: null, message: withText("ann") });
      const business = (await grpc("func_ret10001")).error;
      assert.deepEqual(
        [business?.code, business?.details, business?.metadata.get("trpc-func-ret")],
        [Code.UNKNOWN, "the business says no", ["10001"]],
      );
      const framework = (await grpc("ret23")).error;
      assert.deepEqual(
        [framework?.code, framework?.metadata.get("trpc-ret")],
        [Code.RESOURCE_EXHAUSTED, ["23"]],
      );
      assert.equal((await grpc("silent")).error?.code, Code.DEADLINE_EXCEEDED);
    } finally {
      client.close();
    }
  });

  it("metrics have the protocol, and of business codes only those that the configuration lists", async () => {
    await get("func_ret5");
    await get("func_ret70000");
    const metrics = await (await fetch(`http://127.0.0.1:${system.adminPort}/metrics`)).text();
    const codes = (name: string): Set<string> =>
      new Set(
        [...metrics.matchAll(new RegExp(`^${name}\\{.*grpc_code="([^"]*)".*\\} `, "gm"))].map(
          ([, code]) => code ?? "",
        ),
      );
    for (const name of ["protogate_upstream_handled_total", "protogate_http_requests_total"]) {
      const found = codes(name);
      for (const label of ["OK", "3", "5", "10000-10999", "other", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED"])
        assert.ok(found.has(label), `${name} has no ${label}: ${[...found].join(" ")}`);
      for (const label of ["10001", "70000", "12", "-1"])
        assert.ok(!found.has(label), `${name} has ${label}`);
    }
    assert.match(
      metrics,
      /protogate_upstream_started_total\{upstream="messaging",protocol="trpc",grpc_service=/,
    );
  });

  it("the log has the business code and says who ended the call", async () => {
    await get("func_ret10042");
    await system.logged(/"backend_code":10042.*"detail":"business 10042: the business says no"/);
    await get("ret23");
    await system.logged(/"detail":"framework 23: the framework says no"/);
  });
});
