import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { Authority, type Pair, withoutOpenssl } from "../auth/certificates.js";
import { type KindsBackend, startKinds } from "./clients/backend.js";
import type { KindsClient } from "./clients/call.js";
import { itCallsInEveryWay } from "./clients/cases.js";
import { childClient } from "./clients/child-client.js";
import { type KindsGateway, startKindsGateway } from "./clients/gateway.js";
import { grpcJsClient } from "./clients/grpc-js-client.js";
import { buildPeer, whyNoGo } from "./go-peer.js";

type Begun = () => Promise<void>;
type Make = (address: string, ca: Pair | undefined, begun: Begun) => KindsClient | Promise<KindsClient>;

const withoutGrpcio =
  spawnSync("python3", ["-c", "import grpc"]).status === 0 ? false : "python3 with grpcio is not installed";
const script = join(import.meta.dirname, "clients/client.py");

let backend: KindsBackend;
let plain: KindsGateway;
let secure: KindsGateway | undefined;
const authority = withoutOpenssl === false ? new Authority("gRPC") : undefined;
const ca = authority?.ca;

before(async () => {
  backend = await startKinds();
  plain = await startKindsGateway(backend, "fastify");
  if (authority === undefined) return;
  const tls = authority.issue("gateway", "/CN=gateway", "DNS.1=localhost\nIP.1=127.0.0.1");
  secure = await startKindsGateway(backend, "fastify", { tls });
});
after(async () => {
  await plain.close();
  await secure?.close();
  backend.close();
});

const makers: [name: string, skip: string | false, make: Make][] = [
  ["grpc-js", false, (address, pair, begun) => grpcJsClient(address, pair?.cert, backend.schema, begun)],
  [
    "grpc-go",
    (await whyNoGo()) ?? false,
    async (address, pair, begun) => {
      const args = ["-call", address, ...(pair ? ["-authority", pair.certFile] : [])];
      return childClient(await buildPeer(), args, backend.schema, begun);
    },
  ],
  [
    "grpcio of Python",
    withoutGrpcio,
    (address, pair, begun) =>
      childClient("python3", [script, address, ...(pair ? [pair.certFile] : [])], backend.schema, begun),
  ],
];

for (const [maker, missing, make] of makers) {
  for (const where of ["plain text", "TLS"]) {
    const skip = missing || (where === "TLS" && withoutOpenssl);
    describe(`${maker} over ${where}`, { skip }, () => {
      let client: KindsClient;
      before(async () => {
        const gateway = where === "TLS" ? secure : plain;
        const pair = where === "TLS" ? ca : undefined;
        client = await make(`127.0.0.1:${gateway?.port}`, pair, () => backend.hanging());
      });
      after(() => client.close());
      itCallsInEveryWay(
        `${maker} over ${where}`,
        ["Unary", "Server", "Client", "Bidi"],
        () => backend,
        () => client,
      );
    });
  }
}

const run = promisify(execFile);
const withoutCurl = spawnSync("curl", ["--version"]).status === 0 ? false : "curl is not installed";

describe("curl", { skip: withoutCurl }, () => {
  const curl = async (path: string, ...options: string[]): Promise<string> => {
    const url = `http://127.0.0.1:${plain.port}${path}`;
    const { stdout } = await run("curl", ["-sS", "--max-time", "20", ...options, url]);
    return stdout;
  };
  const rpc = "/peer.v1.KindsService";
  const json = ["-H", "content-type: application/json"];

  for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
    it(`curl ${version} calls by REST, and reads a stream as lines`, async () => {
      assert.deepEqual(JSON.parse(await curl("/v1/kinds/a?count=2", version)), { text: "a", count: 2 });
      const lines = ["-H", "accept: application/x-ndjson"];
      const stream = await curl("/v1/kinds/a:server?count=2&code=9", version, ...lines);
      const [first, second, last] = stream.trimEnd().split("\n");
      assert.deepEqual(
        [first, second].map(line => JSON.parse(line ?? "").count),
        [1, 2],
      );
      assert.equal(JSON.parse(last ?? "").error.reason, "TOLD");
    });

    it(`curl ${version} uploads a stream of requests`, async () => {
      const lines = [
        "-H",
        "content-type: application/x-ndjson",
        "--data-binary",
        '{"text":"a"}\n{"text":"b"}\n',
      ];
      const told = await curl("/v1/kinds:client", version, ...lines);
      assert.deepEqual(JSON.parse(told), { text: "a b", count: 2 });
    });

    it(`curl ${version} calls by Connect, by POST and by GET, and gets its errors`, async () => {
      const told = await curl(`${rpc}/Unary`, version, ...json, "-d", '{"text":"a","count":2}');
      assert.deepEqual(JSON.parse(told), { text: "a", count: 2 });
      const query = `encoding=json&connect=v1&message=${encodeURIComponent('{"text":"a"}')}`;
      assert.deepEqual(JSON.parse(await curl(`${rpc}/Unary?${query}`, version)), { text: "a" });
      const status = ["-w", "\n%{http_code}"];
      const wrong = await curl(`${rpc}/Unary`, version, ...json, ...status, "-d", '{"code":9}');
      const [body, code] = wrong.split("\n");
      const { details, ...error } = JSON.parse(body ?? "");
      assert.deepEqual([error, code], [{ code: "failed_precondition", message: "as told ☃" }, "400"]);
      assert.equal(details[0].type, "google.rpc.ErrorInfo");
    });
  }
});
