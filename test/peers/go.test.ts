import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startGateway } from "../../src/gateway/gateway.js";
import type { Gateway } from "../../src/gateway/gateway-options.js";
import { type Sent, send } from "../contracts/http-client.js";
import { buildPeer, type Peer, peerProtos, startPeer, whyNoGo } from "./go-peer.js";

const missing = await whyNoGo();

/** How the gateway learns the backend's descriptors, and the reflection that the backend offers. */
const sources = [
  { name: ".proto files", reflection: "none", descriptors: `{ protos: ${JSON.stringify(peerProtos)} }` },
  { name: "its reflection v1", reflection: "v1", descriptors: "{ reflection: peer }" },
  { name: "its reflection v1alpha", reflection: "v1alpha", descriptors: "{ reflection: peer }" },
] as const;

function configFor(port: number, descriptors: string): string {
  return `
listeners:
  http: { address: 127.0.0.1:0 }
  admin: { address: 127.0.0.1:0 }
descriptors:
  - ${descriptors}
upstreams:
  peer: { targets: [127.0.0.1:${port}], health: { service: "" } }
services:
  - service: peer.v1.PeerService
    upstream: peer
    metadata:
      request: [x-request-tag, x-blob-bin]
      response: [x-peer, x-peer-many, x-peer-bin, x-peer-trailer]
`;
}

describe("a grpc-go backend", { skip: missing ?? false }, () => {
  let folder: string;
  let program: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "protogate-peer-"));
    program = await buildPeer();
  });
  after(() => rm(folder, { recursive: true }));

  for (const { name, reflection, descriptors } of sources) {
    describe(`known by ${name}`, () => {
      let peer: Peer;
      let gateway: Gateway;
      before(async () => {
        peer = await startPeer(program, reflection);
        const config = join(folder, `${reflection}.yaml`);
        await writeFile(config, configFor(peer.port, descriptors));
        gateway = await startGateway(config, { logTo: { write: () => {} } });
      });
      after(async () => {
        await gateway?.close();
        await peer?.close();
      });

      const call = (method: string, path: string, sent: Sent = {}) =>
        send(gateway.httpPort, method, path, sent);

      const request = {
        name: "Zoë ☃",
        number: "-9223372036854775808",
        tags: ["a", "b"],
        at: "2015-03-14T20:31:48.000000001Z",
        color: "COLOR_RED",
        weights: { "a.b": 0.5 },
        blob: "AP8Q",
      };

      it("a Go backend receives every kind of body, and its responses are read the same", async () => {
        const response = await call("POST", "/v1/echo", { body: request });
        assert.equal(response.status, 200, response.body);
        assert.deepEqual(JSON.parse(response.body).request, request);
      });

      it("a Go backend receives every kind of path and query", async () => {
        const query =
          "number=-9223372036854775808&tags=a&tags=b&at=2015-03-14T20:31:48.000000001Z" +
          "&color=COLOR_RED&weights[a.b]=0.5&blob=AP8Q";
        const response = await call("GET", `/v1/echo/Zo%C3%AB%20%E2%98%83?${query}`);
        assert.equal(response.status, 200, response.body);
        assert.deepEqual(JSON.parse(response.body).request, request);
      });

      it("a Go backend receives the declared headers only, -bin as raw bytes", async () => {
        const headers = { "x-request-tag": "t1", "x-blob-bin": "AP8Q", "x-other": "no" };
        const response = await call("GET", "/v1/echo/a", { headers });
        const heard: readonly { readonly name: string; readonly value: string }[] =
          JSON.parse(response.body).metadata ?? [];
        const values = (wanted: string) =>
          heard.filter(datum => datum.name === wanted).map(datum => datum.value);
        assert.deepEqual(values("x-request-tag"), [Buffer.from("t1").toString("base64")]);
        assert.deepEqual(values("x-blob-bin"), ["AP8Q"]);
        assert.deepEqual(values("x-other"), []);
      });

      it("a Go backend's declared metadata become response headers, initial and trailing, -bin as base64", async () => {
        const { headers } = await call("GET", "/v1/echo/a");
        assert.equal(headers["x-peer"], "go");
        assert.equal(headers["x-peer-many"], "one, two");
        assert.equal(headers["x-peer-bin"], "AP8Q");
        assert.equal(headers["x-peer-trailer"], "last");
        assert.equal(headers["x-peer-secret"], undefined);
      });

      it("a Go backend fails with its own reason, details and Retry-After", async () => {
        const body = { code: 14, message: "gone for lunch ☃", reason: "LUNCH", field: "at.noon" };
        const response = await call("POST", "/v1/fail", { body });
        assert.equal(response.status, 503);
        assert.equal(response.headers["retry-after"], "2");
        assert.deepEqual(JSON.parse(response.body), {
          code: 14,
          reason: "LUNCH",
          message: "gone for lunch ☃",
          details: [
            {
              "@type": "type.googleapis.com/google.rpc.ErrorInfo",
              reason: "LUNCH",
              domain: "peer.example",
              metadata: { language: "go" },
            },
            { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "1.500s" },
            {
              "@type": "type.googleapis.com/google.rpc.BadRequest",
              fieldViolations: [{ field: "at.noon", description: "is wrong" }],
            },
          ],
        });
      });

      const statuses = [
        [1, 499],
        [2, 500],
        [3, 400],
        [4, 504],
        [5, 404],
        [6, 409],
        [7, 403],
        [8, 429],
        [9, 400],
        [10, 409],
        [11, 400],
        [12, 501],
        [13, 500],
        [14, 503],
        [15, 500],
        [16, 401],
        [1501, 500],
      ] as const;
      it("a Go backend fails with the HTTP status of its code, and codes beyond gRPC's own are kept", async () => {
        for (const [code, status] of statuses) {
          const response = await call("POST", "/v1/fail", { body: { code, message: "m" } });
          assert.equal(response.status, status, `code ${code}`);
          assert.equal(JSON.parse(response.body).code, code);
        }
      });

      it("a Go gRPC server reports healthy", async () => {
        const ready = await send(gateway.adminPort, "GET", "/readyz");
        assert.equal(ready.status, 200, ready.body);
      });
    });
  }
});
