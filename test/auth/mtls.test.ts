import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { after, describe, test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { RequestOrigins } from "../../src/auth/request-origins.js";
import { RequestCaller } from "../../src/pipeline/caller.js";
import { alternativeNames } from "../../src/server/node/client-certificate.js";
import { startFastifyEngine } from "../../src/server/node/fastify-engine.js";
import { Workspace } from "../config/workspace.js";
import { Authority, type Pair, withoutOpenssl } from "./certificates.js";
import { type TestProviders, testProviders } from "./harness.js";

const workspace = new Workspace();

/** What the listener says of the client of a connection: its certificate, as JSON. */
interface Listener {
  /** Opens a connection; resolves with it when it is secure. */
  open(client?: Pair, session?: Buffer): Promise<TLSSocket>;
  /** Sends a request; resolves with what the listener makes of the client. */
  // biome-ignore lint/suspicious/noExplicitAny: what the test has serialized itself
  ask(socket: TLSSocket): Promise<any>;
}

describe("client certificates", { skip: withoutOpenssl }, () => {
  const authority = new Authority("Acme Root");
  const stranger = new Authority("Stranger Root");
  const server = authority.issue("server", "/CN=localhost", "DNS.1=localhost");
  const ada = authority.issue(
    "ada",
    '/C=NL/O=Acme, Inc/CN=Ada "the" Löve',
    "DNS.1=ada.acme.example\nDNS.2=www.acme.example\nURI.1=spiffe://acme/ns/a,DNS:evil.example\nemail.1=ada@acme.example\nIP.1=127.0.0.1",
  );
  const eve = stranger.issue("eve", "/CN=ada", "DNS.1=ada.acme.example");

  async function listen(required: boolean, tested?: TestProviders): Promise<Listener> {
    const engine = await startFastifyEngine({
      host: "127.0.0.1",
      port: 0,
      tls: { ...server, client: { ca: authority.ca.cert, required } },
      headerLimit: 16_384,
      requestTimeout: 5000,
      refused: () => undefined,
      handle: (request, response) => {
        const certificate = new RequestCaller(request, new RequestOrigins([], 0)).certificate();
        const same = certificate === new RequestCaller(request, new RequestOrigins([], 0)).certificate();
        const answer = (extra: object): void =>
          response.send(200, [], JSON.stringify({ certificate, same, ...extra }));
        if (tested === undefined) answer({});
        else if (certificate === undefined) answer({ refused: "no certificate" });
        else {
          tested.ask({ certificate }).then(
            ({ subject, claims, metadata }) => answer({ subject, claims, metadata }),
            error => answer({ refused: error.failure.reason }),
          );
        }
      },
    });
    after(async () => {
      const closed = engine.close();
      engine.destroy();
      await closed;
    });
    return {
      open: async (client, session) => {
        const socket = connect({
          host: "127.0.0.1",
          port: engine.port,
          servername: "localhost",
          ca: authority.ca.cert,
          ...(client !== undefined && { cert: client.cert, key: client.key }),
          ...(session !== undefined && { session }),
        });
        after(() => socket.destroy());
        await once(socket, "secureConnect");
        return socket;
      },
      ask: async socket => {
        let text = "";
        socket.setEncoding("utf8");
        socket.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
        for (;;) {
          const [chunk] = (await once(socket, "data")) as [string];
          text += chunk;
          const [head = "", body = ""] = text.split("\r\n\r\n");
          const length = Number(/content-length: (\d+)/.exec(head)?.[1] ?? Number.NaN);
          if (Buffer.byteLength(body) === length) return JSON.parse(body);
        }
      },
    };
  }

  test("a verified certificate is described: RFC 4514 subject, names that cannot be mixed up, SHA-256", async () => {
    const listener = await listen(false);
    const socket = await listener.open(ada);
    const { certificate, same } = await listener.ask(socket);
    assert.deepEqual(certificate, {
      subject: 'CN=Ada \\"the\\" Löve,O=Acme\\, Inc,C=NL',
      commonName: 'Ada "the" Löve',
      names: [
        "DNS:ada.acme.example",
        "DNS:www.acme.example",
        "URI:spiffe://acme/ns/a,DNS:evil.example",
        "email:ada@acme.example",
        "IP Address:127.0.0.1",
      ],
      fingerprint: createHash("sha256").update(new X509Certificate(ada.cert).raw).digest("hex"),
    });
    assert.ok(same);
    assert.deepEqual((await listener.ask(socket)).certificate, certificate);
  });

  test("a listener that requests certificates takes no certificate, or a stranger's, as no proof", async () => {
    const listener = await listen(false);
    assert.equal((await listener.ask(await listener.open())).certificate, undefined);
    assert.equal((await listener.ask(await listener.open(eve))).certificate, undefined);
  });

  test("a resumed session proves what its first connection did, and nothing where that proved nothing", async () => {
    const listener = await listen(false);
    for (const [client, expected] of [
      [undefined, undefined],
      [eve, undefined],
      [ada, 'Ada "the" Löve'],
    ] as const) {
      const first = await listener.open(client);
      const session = once(first, "session") as Promise<[Buffer]>;
      assert.equal((await listener.ask(first)).certificate?.commonName, expected);
      const again = await listener.open(undefined, (await session)[0]);
      assert.ok(again.isSessionReused());
      assert.equal((await listener.ask(again)).certificate?.commonName, expected);
    }
  });

  test("a listener that requires certificates ends connections without a valid one", async () => {
    const listener = await listen(true);
    assert.ok((await listener.ask(await listener.open(ada))).certificate);
    for (const client of [undefined, eve]) {
      await assert.rejects(async () => {
        const socket = await listener.open(client);
        await Promise.race([
          listener.ask(socket),
          once(socket, "close").then(() => Promise.reject(new Error("closed"))),
        ]);
      });
    }
  });

  test("a provider takes the configured part of the certificate", async () => {
    const tested = (keys: string): TestProviders =>
      testProviders(
        workspace.config(`
listeners: { http: { address: ":0", tls: { cert: ${server.certFile}, key: ${server.keyFile}, client_ca: ${authority.ca.certFile} } } }
auth: { providers: { services: { type: mtls${keys} } } }
`),
      );
    const ask = async (keys: string) => {
      const listener = await listen(false, tested(keys));
      const { subject, refused } = await listener.ask(await listener.open(ada));
      return subject ?? refused;
    };
    assert.equal(await ask(""), 'CN=Ada \\"the\\" Löve,O=Acme\\, Inc,C=NL');
    assert.equal(await ask(", subject_from: cn"), 'Ada "the" Löve');
    assert.equal(await ask(", subject_from: dns"), "ada.acme.example");
    assert.equal(await ask(", subject_from: dns, allow: ['www.*']"), "www.acme.example");
    assert.equal(
      await ask(", subject_from: dns, allow: ['*.evil.example', 'acme.example']"),
      "CREDENTIALS_INVALID",
    );
    assert.equal(
      await ask(", subject_from: dns, allow: ['ada-acme.example', 'ada.acme?example']"),
      "CREDENTIALS_INVALID",
    );
    assert.equal(
      await ask(", subject_from: uri, allow: ['spiffe://acme/*']"),
      "spiffe://acme/ns/a,DNS:evil.example",
    );
    assert.equal(await ask(", subject_from: email"), "ada@acme.example");
    assert.match(await ask(", subject_from: fingerprint"), /^[0-9a-f]{64}$/);
    const listener = await listen(
      false,
      tested(", subject_from: cn, claims_to_metadata: { cn: x-name, dns: x-dns, sub: x-sub }"),
    );
    const { claims, metadata } = await listener.ask(await listener.open(ada));
    assert.deepEqual(claims.dns, ["ada.acme.example", "www.acme.example"]);
    assert.deepEqual(metadata, [
      ["x-name", 'Ada "the" L%C3%B6ve'],
      ["x-dns", "ada.acme.example,www.acme.example"],
      ["x-sub", 'Ada "the" L%C3%B6ve'],
    ]);
    const failure = await tested("").refused({});
    assert.equal(failure.reason, "CREDENTIALS_MISSING");
    assert.deepEqual(failure.headers, [["www-authenticate", 'ClientCertificate realm="protogate"']]);
  });
});

test("alternative names in quotes are one name", () => {
  assert.deepEqual(alternativeNames(""), []);
  assert.deepEqual(alternativeNames("DNS:a, DNS:b"), ["DNS:a", "DNS:b"]);
  assert.deepEqual(alternativeNames('DNS:"a, DNS:b", URI:x:y'), ["DNS:a, DNS:b", "URI:x:y"]);
  assert.deepEqual(alternativeNames('DNS:"a\\"b\\u0000"'), ['DNS:a"b\0']);
  assert.deepEqual(alternativeNames("IP Address:::1, DNS:b"), ["IP Address:::1", "DNS:b"]);
  assert.deepEqual(alternativeNames("DNS:, DNS:b"), ["DNS:", "DNS:b"]);
});
