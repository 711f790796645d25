import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import {
  type ClientHttp2Session,
  connect,
  createSecureServer,
  type Http2SecureServer,
  type SecureClientSessionOptions,
  type ServerHttp2Stream,
} from "node:http2";
import { request } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { TLSSocket } from "node:tls";
import { startGateway } from "../../src/gateway/gateway.js";
import type { Gateway } from "../../src/gateway/gateway-options.js";
import { Authority, type Pair, withoutOpenssl } from "../auth/certificates.js";
import { engineUnderTest, socketEngineUnderTest } from "../engine.js";
import { echoProto } from "./echo.js";
import { send } from "./harness.js";
import { askHost } from "./own-listeners.js";

describe("certificates over HTTP/2, of clients and to backends", { skip: withoutOpenssl }, () => {
  const authority = new Authority("test");
  const newer = new Authority("newer");
  const old = authority.issue("old", "/CN=old", "DNS.1 = old.test");
  const renewed = authority.issue("renewed", "/CN=renewed", "DNS.1 = renewed.test");
  const other = authority.issue("other", "/CN=other", "DNS.1 = *.wild.test");
  const ada = authority.issue("ada", "/CN=ada");
  const eve = newer.issue("eve", "/CN=eve");
  const folder = mkdtempSync(join(tmpdir(), "protogate-"));
  after(() => rmSync(folder, { recursive: true }));

  const put = ({ certFile, keyFile }: Pair, name = "tls"): void => {
    copyFileSync(certFile, join(folder, `${name}.crt`));
    copyFileSync(keyFile, join(folder, `${name}.key`));
  };
  const start = (yaml: string): Promise<Gateway> => {
    writeFileSync(join(folder, "gateway.yaml"), yaml);
    return startGateway(join(folder, "gateway.yaml"), {
      env: {},
      logTo: { write: () => undefined },
      socketEngine: socketEngineUnderTest(),
    });
  };
  const listeners = (tls: string, more = ""): string => `listeners:
  http: { address: 127.0.0.1:0, engine: ${engineUnderTest()}, tls: ${tls} }
  admin: { address: 127.0.0.1:0 }
${more}`;
  const uws = engineUnderTest() === "uws" && "the engine uws speaks HTTP/1.1 alone";

  const sessionAt = (port: number, more: SecureClientSessionOptions = {}): ClientHttp2Session =>
    connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false, ...more });
  /** Fails where the connection does. */
  const statusOn = (session: ClientHttp2Session): Promise<number> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ":path": "/none" });
      session.on("error", reject);
      stream.on("error", reject);
      stream.on("close", () => reject(new Error("no response")));
      stream.on("response", head => resolve(Number(head[":status"])));
      stream.resume();
    });
  /** The name on the certificate of a connection that has served a request. */
  const shownOn = async (session: ClientHttp2Session): Promise<string> => {
    assert.equal(await statusOn(session), 404);
    assert.equal(session.alpnProtocol, "h2");
    return String((session.socket as TLSSocket).getPeerCertificate().subject.CN);
  };
  const shown = async (port: number, servername?: string): Promise<string> => {
    const session = sessionAt(port, servername === undefined ? {} : { servername });
    const name = await shownOn(session);
    session.close();
    return name;
  };

  it("over HTTP/2 new connections get the renewed certificate, and an open one goes on", {
    skip: uws,
  }, async () => {
    put(old);
    const gateway = await start(listeners("{ cert: tls.crt, key: tls.key }"));
    const open = sessionAt(gateway.httpPort);
    assert.equal(await shownOn(open), "old");
    put(renewed);
    assert.equal((await gateway.reload()).error, undefined);
    assert.equal(await shown(gateway.httpPort), "renewed");
    assert.equal(await statusOn(open), 404);
    open.close();
    await gateway.close();
  });

  it("over HTTP/2 a client gets the certificate for the server name of its handshake", {
    skip: uws,
  }, async () => {
    put(old);
    const tls = `[{ cert: tls.crt, key: tls.key, min_version: "1.3" }, { cert: ${other.certFile}, key: ${other.keyFile} }]`;
    const gateway = await start(listeners(tls));
    assert.equal(await shown(gateway.httpPort, "a.wild.test"), "other");
    assert.equal(await shown(gateway.httpPort, "old.test"), "old");
    await assert.rejects(
      statusOn(sessionAt(gateway.httpPort, { servername: "a.wild.test", maxVersion: "TLSv1.2" })),
      /protocol version/,
    );
    await gateway.close();
  });

  it("after a reload with other authorities their clients are let in, and those of before no more", {
    skip: uws,
  }, async () => {
    put(old);
    copyFileSync(authority.ca.certFile, join(folder, "clients.pem"));
    const tls = "{ cert: tls.crt, key: tls.key, client_ca: clients.pem, client_auth: require }";
    const gateway = await start(listeners(tls));
    const over1 = ({ cert, key }: Pair): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const options = { host: "127.0.0.1", port: gateway.httpPort, path: "/none", agent: false as const };
        const asked = request({ ...options, cert, key, rejectUnauthorized: false }, response => {
          response.resume();
          resolve(response.statusCode);
        });
        asked.on("error", reject);
        asked.end();
      });
    const over2 = async ({ cert, key }: Pair): Promise<number> => {
      const session = sessionAt(gateway.httpPort, { cert, key });
      try {
        return await statusOn(session);
      } finally {
        session.destroy();
      }
    };
    for (const [accepted, refused, file] of [
      [ada, eve, authority.ca.certFile],
      [eve, ada, newer.ca.certFile],
    ] as const) {
      copyFileSync(file, join(folder, "clients.pem"));
      assert.equal((await gateway.reload()).error, undefined);
      for (const ask of [over1, over2]) {
        assert.equal(await ask(accepted), 404);
        await assert.rejects(ask(refused));
      }
    }
    await gateway.close();
  });

  it("a redirect to HTTPS leads to the listener with the certificate", async () => {
    put(old);
    const list = (port: number): string => `listeners:
  http:
    - { name: main, address: 127.0.0.1:0, engine: ${engineUnderTest()}, tls: { cert: tls.crt, key: tls.key } }
    - { name: plain, address: 127.0.0.1:0, engine: ${engineUnderTest()}, redirect_to_https: { port: ${port} } }
  admin: { address: 127.0.0.1:0 }
`;
    const gateway = await start(list(1));
    const { main = 0, plain = 0 } = gateway.httpPorts;
    writeFileSync(join(folder, "gateway.yaml"), list(main));
    assert.equal((await gateway.reload()).error, undefined);
    const { status, headers } = await askHost(plain, "/none?a=1", "127.0.0.1");
    assert.deepEqual([status, headers.location], [308, `https://127.0.0.1:${main}/none?a=1`]);
    const followed = await new Promise<number | undefined>((resolve, reject) => {
      const asked = request(
        String(headers.location),
        { rejectUnauthorized: false, agent: false },
        response => {
          response.resume();
          resolve(response.statusCode);
        },
      );
      asked.on("error", reject);
      asked.end();
    });
    assert.equal(followed, 404);
    await gateway.close();
  });

  it("a backend is shown the renewed client certificate after a reload", async () => {
    put(ada, "client");
    const backend = await startMutualBackend();
    const { port } = backend.server.address() as AddressInfo;
    const gateway = await start(`listeners:
  http: { address: 127.0.0.1:0, engine: ${engineUnderTest()} }
  admin: { address: 127.0.0.1:0 }
descriptors: [{ protos: echo.proto }]
upstreams:
  echo:
    targets: ["127.0.0.1:${port}"]
    tls: { ca: ${authority.ca.certFile}, cert: client.crt, key: client.key, server_name: old.test }
services: [{ service: test.v1.Echo, upstream: echo }]
`);
    const ask = async (): Promise<string> =>
      (await send(`http://127.0.0.1:${gateway.httpPort}/v1/items/a`)).text;
    assert.equal(await ask(), '{"id":"a"}');
    put(other, "client");
    assert.equal((await gateway.reload()).error, undefined);
    assert.equal(await ask(), '{"id":"a"}');
    assert.deepEqual(backend.callers, ["ada", "other"]);
    copyFileSync(eve.keyFile, join(folder, "client.key"));
    assert.match(
      String((await gateway.reload()).error),
      /gateway\.yaml:\d+:\d+: error: the key does not belong to the certificate \(at upstreams\.echo\.tls\)/,
    );
    assert.equal(await ask(), '{"id":"a"}');
    await gateway.close();
    backend.server.close();
  });

  /** A gRPC backend that demands certificates of its clients, and echoes. */
  async function startMutualBackend(): Promise<{ server: Http2SecureServer; callers: string[] }> {
    writeFileSync(join(folder, "echo.proto"), echoProto);
    const callers: string[] = [];
    const { cert, key } = old;
    const server = createSecureServer({ cert, key, ca: authority.ca.cert, requestCert: true });
    server.on("secureConnection", (socket: TLSSocket) =>
      callers.push(String(socket.getPeerCertificate().subject.CN)),
    );
    server.on("stream", (stream: ServerHttp2Stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.pipe(stream);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return { server, callers };
  }
});
