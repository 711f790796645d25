import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { engineUnderTest } from "../engine.js";
import { exchangeHttp2 } from "../http2-client.js";
import { freePorts, untilAccepts } from "../ports.js";
import { echoProto } from "./echo.js";
import { type Backend, echo, startBackend } from "./harness.js";
import { type ListenersGateway, startListeners } from "./own-listeners.js";

const skip = engineUnderTest() === "uws" ? "the engine uws does not read it" : false;
const haproxy = ["/usr/sbin/haproxy", "haproxy"].find(each => spawnSync(each, ["-v"]).error === undefined);

describe("the PROXY protocol", { skip }, () => {
  let backend: Backend;
  before(async () => {
    backend = await startBackend({ "/test.v1.Echo/Get": echo });
  });
  after(() => backend.close());

  const run = async (
    settings: string,
    test: (port: number, started: ListenersGateway) => Promise<void>,
    more = "",
  ): Promise<void> => {
    const yaml = `descriptors: [{ protos: ./protos }]
upstreams: { echo: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: test.v1.Echo, upstream: echo }]
${more}`;
    const http = `{ address: "127.0.0.1:0", ${settings} }`;
    const started = await startListeners(http, yaml, { "protos/echo.proto": echoProto });
    try {
      await test(started.gateway.httpPort, started);
    } finally {
      await started.close();
    }
  };
  /** The address that the backend was last told. */
  const client = (): unknown => backend.calls.at(-1)?.metadata.get("x-forwarded-for")[0];
  const get = "GET /v1/items/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
  /** Writes parts, each in a segment of its own, and reads to the end. */
  const talk = async (socket: Socket, parts: readonly (string | Buffer)[]): Promise<string> => {
    let text = "";
    socket.setNoDelay(true);
    socket.setEncoding("latin1");
    socket.on("data", chunk => {
      text += chunk;
    });
    socket.on("error", () => undefined);
    const closed = once(socket, "close");
    for (const part of parts) await new Promise(resolve => socket.write(part as string, "latin1", resolve));
    await closed;
    return text;
  };
  const version2 = Buffer.concat([
    Buffer.from("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10", "latin1"),
    Buffer.from([192, 0, 2, 9, 10, 0, 0, 1, 1, 2, 3, 4, 0x04, 0, 1, 0xff]),
  ]);

  it("the address in a header of either version is the client's for the backend, whatever the segments", async () => {
    await run("proxy_protocol: true", async port => {
      const line = "PROXY TCP4 192.0.2.8 10.0.0.1 4000 80\r\n";
      assert.match(await talk(connect(port, "127.0.0.1"), [line + get]), /^HTTP\/1\.1 200 /);
      assert.equal(client(), "192.0.2.8");
      assert.match(await talk(connect(port, "127.0.0.1"), [...line, get]), /^HTTP\/1\.1 200 /);
      assert.match(await talk(connect(port, "127.0.0.1"), [version2, get]), /^HTTP\/1\.1 200 /);
      assert.equal(client(), "192.0.2.9");
      const local = Buffer.from("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "latin1");
      assert.match(await talk(connect(port, "127.0.0.1"), [local, get]), /^HTTP\/1\.1 200 /);
      assert.equal(client(), "127.0.0.1");
    });
  });

  it("limits by address count the client of the header", async () => {
    const limit =
      "rate_limits: { one: { requests: 1, per: 1h, key: ip } }\nservice_defaults: { rate_limit: one }\n";
    await run(
      "proxy_protocol: true",
      async port => {
        const ask = async (address: string): Promise<string> =>
          (await talk(connect(port, "127.0.0.1"), [`PROXY TCP4 ${address} 10.0.0.1 1 2\r\n${get}`])).slice(
            9,
            12,
          );
        assert.deepEqual(
          [await ask("192.0.2.1"), await ask("192.0.2.1"), await ask("192.0.2.2")],
          ["200", "429", "200"],
        );
      },
      limit,
    );
  });

  it("a connection whose header is malformed, missing or cut short ends without a response and is counted", async () => {
    await run("proxy_protocol: true", async (port, { metrics }) => {
      for (const wrong of [get, "PROXY TCP4 a b 1 2\r\n", `PROXY ${"x".repeat(200)}`])
        assert.equal(await talk(connect(port, "127.0.0.1"), [wrong]), "");
      const cut = connect(port, "127.0.0.1");
      cut.end("PROXY TCP4 192.");
      assert.equal(await talk(cut, []), "");
      const silent = connect(port, "127.0.0.1");
      silent.end();
      await talk(silent, []);
      assert.match(await metrics(), /^protogate_proxy_headers_refused_total\{listener="http"\} 4$/m);
    });
  });

  it("a header that does not come within the time for a request ends the connection", async () => {
    await run(
      "proxy_protocol: true",
      async (port, { metrics }) => {
        assert.equal(await talk(connect(port, "127.0.0.1"), ["PROXY TCP4 "]), "");
        assert.match(await metrics(), /^protogate_proxy_headers_refused_total\{listener="http"\} 1$/m);
      },
      "http: { limits: { request_timeout: 200ms } }\n",
    );
  });

  it("only peers that the list names send headers; of others one is a malformed request", async () => {
    await run("proxy_protocol: [10.0.0.0/8]", async port => {
      const direct = await talk(connect(port, "127.0.0.1"), [get]);
      assert.match(direct, /^HTTP\/1\.1 200 /);
      assert.equal(client(), "127.0.0.1");
      const forged = await talk(connect(port, "127.0.0.1"), [`PROXY TCP4 192.0.2.8 10.0.0.1 1 2\r\n${get}`]);
      assert.match(forged, /^HTTP\/1\.1 400 /);
    });
    await run('proxy_protocol: ["127.0.0.0/8"]', async port => {
      assert.equal(await talk(connect(port, "127.0.0.1"), [get]), "");
    });
  });

  it("connections that wait for a header do not hold up the end of the gateway", async () => {
    let waiting: Promise<string> | undefined;
    await run("proxy_protocol: true", async port => {
      const socket = connect(port, "127.0.0.1");
      await once(socket, "connect");
      waiting = talk(socket, ["PROXY "]);
      // The gateway has accepted that connection before this one.
      await talk(connect(port, "127.0.0.1"), [`PROXY UNKNOWN\r\n${get}`]);
    });
    assert.equal(await waiting, "");
  });

  it("over TLS the header comes before the handshake", { skip: withoutOpenssl }, async () => {
    const server = new Authority("Proxies").issue("server", "/CN=localhost", "DNS.1=localhost");
    const tls = `tls: { cert: ${JSON.stringify(server.certFile)}, key: ${JSON.stringify(server.keyFile)} }`;
    await run(`${tls}, proxy_protocol: true`, async port => {
      for (const [header, address] of [
        ["PROXY TCP6 2001:DB8::5 ::1 4000 443\r\n", "2001:db8::5"],
        [version2, "192.0.2.9"],
      ] as const) {
        const socket = connect(port, "127.0.0.1");
        socket.write(header);
        const secure = connectTls({ socket, rejectUnauthorized: false });
        assert.match(await talk(secure, [get]), /^HTTP\/1\.1 200 /);
        assert.equal(client(), address);
      }
    });
  });

  it("the engine uws refuses it when the configuration is loaded, and networks are checked", async () => {
    await assert.rejects(
      run("engine: uws, proxy_protocol: true", async () => undefined),
      /PROXY protocol needs the engine fastify/,
    );
    await assert.rejects(
      run("proxy_protocol: [10.0.0.0/40]", async () => undefined),
      /expected an IP address, or a network such as 10\.0\.0\.0\/8, found "10\.0\.0\.0\/40"/,
    );
  });

  const withoutHaproxy = haproxy === undefined ? "haproxy is not installed" : false;
  it("HAProxy sends the client's address by version 1 and by version 2, over HTTP/1.1 and HTTP/2", {
    skip: withoutHaproxy,
  }, async () => {
    await run("proxy_protocol: [127.0.0.1]", async port => {
      const [one = 0, two = 0] = await freePorts(2);
      const folder = mkdtempSync(join(tmpdir(), "protogate-"));
      const section = (name: string, bind: number, send: string): string =>
        `listen ${name}\n  mode tcp\n  bind 127.0.0.1:${bind}\n  server gateway 127.0.0.1:${port} ${send} source 127.0.0.1\n`;
      const file = join(folder, "haproxy.cfg");
      writeFileSync(
        file,
        `defaults\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n${section("one", one, "send-proxy")}${section("two", two, "send-proxy-v2")}`,
      );
      const proxy: ChildProcess = spawn(haproxy as string, ["-db", "-f", file], { stdio: "ignore" });
      const exited = once(proxy, "exit");
      try {
        for (const bind of [one, two]) {
          await untilAccepts(bind, exited);
          const socket = connect({ port: bind, host: "127.0.0.1", localAddress: "127.0.0.2" });
          assert.match(await talk(socket, [get]), /^HTTP\/1\.1 200 /);
          assert.equal(client(), "127.0.0.2");
          assert.equal(
            (await exchangeHttp2(bind, "GET", "/v1/items/a", { host: "a" }, undefined)).status,
            200,
          );
        }
      } finally {
        proxy.kill();
        await exited;
        rmSync(folder, { recursive: true });
      }
    });
  });
});
