import { after, before, describe } from "node:test";
import type { Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { uwsSkipped } from "../engine.js";
import { type KindsBackend, startKinds } from "./clients/backend.js";
import type { KindsClient, KindsMethod } from "./clients/call.js";
import { itCallsInEveryWay } from "./clients/cases.js";
import { callByConnect } from "./clients/connect-client.js";
import { type KindsGateway, startKindsGateway } from "./clients/gateway.js";

const all: readonly KindsMethod[] = ["Unary", "Server", "Client", "Bidi"];
/** Over HTTP/1.1 connect-node does not let both sides talk at once. */
const halfDuplex: readonly KindsMethod[] = ["Unary", "Server", "Client"];

type Where = "plain" | "tls" | "uws";
type Make = (baseUrl: string, nodeOptions: object) => Transport;

const transports: [name: string, where: Where, kinds: readonly KindsMethod[], make: Make][] = [
  [
    "Connect in JSON over HTTP/1.1",
    "plain",
    halfDuplex,
    (baseUrl, nodeOptions) =>
      createConnectTransport({ baseUrl, nodeOptions, httpVersion: "1.1", useBinaryFormat: false }),
  ],
  [
    "Connect in protobuf over HTTP/2",
    "plain",
    all,
    baseUrl => createConnectTransport({ baseUrl, httpVersion: "2", useHttpGet: true }),
  ],
  [
    "Connect in JSON over HTTP/2 and TLS",
    "tls",
    all,
    (baseUrl, nodeOptions) =>
      createConnectTransport({ baseUrl, nodeOptions, httpVersion: "2", useBinaryFormat: false }),
  ],
  [
    "Connect in protobuf over HTTP/1.1 and TLS",
    "tls",
    halfDuplex,
    (baseUrl, nodeOptions) => createConnectTransport({ baseUrl, nodeOptions, httpVersion: "1.1" }),
  ],
  [
    "Connect in protobuf on uws",
    "uws",
    halfDuplex,
    (baseUrl, nodeOptions) => createConnectTransport({ baseUrl, nodeOptions, httpVersion: "1.1" }),
  ],
  [
    "gRPC-Web over HTTP/1.1",
    "plain",
    halfDuplex,
    (baseUrl, nodeOptions) => createGrpcWebTransport({ baseUrl, nodeOptions, httpVersion: "1.1" }),
  ],
  [
    "gRPC-Web over HTTP/2 and TLS",
    "tls",
    all,
    (baseUrl, nodeOptions) => createGrpcWebTransport({ baseUrl, nodeOptions, httpVersion: "2" }),
  ],
  [
    "gRPC-Web on uws",
    "uws",
    halfDuplex,
    (baseUrl, nodeOptions) => createGrpcWebTransport({ baseUrl, nodeOptions, httpVersion: "1.1" }),
  ],
  ["gRPC", "plain", all, baseUrl => createGrpcTransport({ baseUrl })],
  ["gRPC over TLS", "tls", all, (baseUrl, nodeOptions) => createGrpcTransport({ baseUrl, nodeOptions })],
];

const uws = await uwsSkipped();

describe("@connectrpc/connect-node", () => {
  let backend: KindsBackend;
  let ca: Buffer | undefined;
  const gateways = new Map<Where, KindsGateway>();

  before(async () => {
    backend = await startKinds();
    gateways.set("plain", await startKindsGateway(backend, "fastify"));
    if (uws === false) gateways.set("uws", await startKindsGateway(backend, "uws"));
    if (withoutOpenssl === false) {
      const authority = new Authority("Connect");
      const tls = authority.issue("gateway", "/CN=gateway", "DNS.1=localhost\nIP.1=127.0.0.1");
      ca = authority.ca.cert;
      gateways.set("tls", await startKindsGateway(backend, "fastify", { tls }));
    }
  });
  after(async () => {
    for (const gateway of gateways.values()) await gateway.close();
    backend.close();
  });

  for (const [name, where, kinds, make] of transports) {
    const skip = where === "tls" ? withoutOpenssl : where === "uws" ? uws : false;
    describe(name, { skip }, () => {
      let client: KindsClient;
      before(() => {
        const { port } = gateways.get(where) as KindsGateway;
        const transport = make(
          `${where === "tls" ? "https" : "http"}://localhost:${port}`.replace("localhost", "127.0.0.1"),
          where === "tls" ? { ca } : {},
        );
        client = {
          call: each => callByConnect(transport, backend.schema, each, () => backend.hanging()),
          close: () => undefined,
        };
      });
      itCallsInEveryWay(
        `connect-node, ${name},`,
        kinds,
        () => backend,
        () => client,
      );
    });
  }
});
