import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { engineUnderTest } from "../engine.js";
import { startTestGateway } from "../gateway/harness.js";
import { ownHost } from "../ports.js";
import { startProxy } from "../proxy-process.js";
import { connectTo, Ledger, served, transports } from "./members.js";

interface Proxy {
  readonly name: string;
  readonly command: string;
  /** How it is started with its configuration in that folder, as a proxy of `gateway` at `address`. */
  prepare(folder: string, address: string, gateway: string): readonly string[];
  /** The transport by which a client comes through. */
  readonly passes: string;
  /** It speaks HTTP/1.0, which the engine uws does not take. */
  readonly old?: boolean;
}

/** Without Connection and Upgrade, as it is without a word about WebSockets. */
function nginx(name: string, passes: string, settings: string): Proxy {
  return {
    name,
    command: "nginx",
    passes,
    prepare(folder, address, gateway) {
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
        each => `${each}_temp_path ${folder}/${each};`,
      );
      writeFileSync(
        join(folder, "nginx.conf"),
        `daemon off; pid ${folder}/nginx.pid; error_log stderr error; events {}
http { access_log off; ${temporary.join(" ")}
server { listen ${address}; ${settings} location / { proxy_pass http://${gateway}; } } }\n`,
      );
      return ["-e", "stderr", "-c", join(folder, "nginx.conf")];
    },
  };
}

const proxies: readonly Proxy[] = [
  nginx("nginx that passes no upgrades", "sse", "proxy_http_version 1.1;"),
  { ...nginx("nginx that speaks HTTP/1.0 to the gateway", "sse", ""), old: true },
  nginx(
    "nginx that compresses all responses and keeps back what compresses better later",
    "poll",
    "proxy_http_version 1.1; proxy_ignore_headers X-Accel-Buffering; gzip on; gzip_types *; gzip_proxied any;",
  ),
  {
    name: "HAProxy that refuses upgrades",
    command: "haproxy",
    passes: "sse",
    prepare(folder, address, gateway) {
      writeFileSync(
        join(folder, "haproxy.cfg"),
        `defaults
  mode http
  timeout connect 5s
  timeout client 1m
  timeout server 1m
listen edge
  bind ${address}
  http-request deny deny_status 403 if { req.hdr(upgrade) -m found }
  server gateway ${gateway}\n`,
      );
      return ["-db", "-f", join(folder, "haproxy.cfg")];
    },
  },
];

for (const proxy of proxies.filter(({ old }) => old !== true || engineUnderTest() !== "uws")) {
  const missing = spawnSync(proxy.command, ["-v"]).error !== undefined;
  test(`a client comes by ${proxy.passes} through ${proxy.name} (${engineUnderTest()})`, {
    skip: missing && `${proxy.command} is not installed`,
  }, async t => {
    const gateway = await startTestGateway(`realtime: { ${served} }\nserver: { drain: 500ms }\n`, {});
    t.after(() => gateway.close());
    const [host, port] = [ownHost(), 8080];
    const folder = mkdtempSync(join(tmpdir(), "protogate-proxy-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const args = proxy.prepare(folder, `${host}:${port}`, `127.0.0.1:${gateway.httpPort}`);
    t.after(await startProxy([proxy.command, ...args], host, port));
    const url = `ws://${host}:${port}/ws`;
    // What a proxy keeps back is noticed by a missing response, where a part of it has come through at once.
    const responseTimeout = proxy.passes === "poll" ? 1000 : 5000;
    const client = connectTo(t, port, { url, transports, connectTimeout: 2000, responseTimeout });
    const room = client.room("x", { from: "Ann" });
    const other = connectTo(t, gateway.httpPort).room("x", { from: "Bob" });
    const ledger = new Ledger(room);
    await Promise.all([room.join(), other.join()]);
    const sent: string[] = [];
    for (let n = 0; n < 20; n++) {
      const text = `${n}`;
      sent.push(text);
      await (n % 2 === 0 ? room : other).send(text);
    }
    await ledger.has("19");
    assert.deepEqual([ledger.texts, ledger.lost], [sent, 0]);
    assert.deepEqual(client.state, { state: "open", transport: proxy.passes });
  });
}
