import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import type { Room } from "../../clients/js/src/index.js";
import { connectTo, fallbacks, Ledger, served } from "../client/members.js";
import { Page } from "../docs/page.js";
import { ownHost } from "../ports.js";
import { startProxy } from "../proxy-process.js";
import { missing, startRedis } from "../realtime/brokers/servers.js";
import { get, type Served, serve } from "../workers/served.js";

const page = new Page("docs/guides/proxies.md");

interface Proxy {
  readonly name: string;
  /** How it chooses a gateway by a name in the URL, in place of the client's address. */
  byName(configuration: string): string;
  /** Writes its configuration of the page, without TLS. @returns how it is started */
  prepare(
    folder: string,
    host: string,
    here: (text: string) => string,
  ): readonly [command: string, ...args: string[]];
}

const proxies: readonly Proxy[] = [
  {
    name: "nginx",
    byName: each => each.replace("hash $remote_addr consistent", "hash $arg_client consistent"),
    prepare(folder, host, here) {
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
        name => `${name}_temp_path ${folder}/${name};`,
      );
      const configuration = here(page.blocks("nginx").join("\n"))
        .replace("listen 443 ssl http2", `listen ${host}:8080`)
        .replaceAll(/ssl_certificate\S* +\S+;/g, "")
        // A gateway that was away is asked again after 10 s, unless it is said otherwise.
        .replaceAll(/(server 127\.\S+:\d+);/g, "$1 fail_timeout=1s;");
      writeFileSync(
        join(folder, "nginx.conf"),
        `daemon off; pid ${folder}/nginx.pid; error_log stderr error; events {}
http { access_log off; ${temporary.join(" ")}\n${configuration}}\n`,
      );
      return ["nginx", "-e", "stderr", "-c", join(folder, "nginx.conf")];
    },
  },
  {
    name: "haproxy",
    byName: each => each.replace("balance source", "balance url_param client"),
    prepare(folder, host, here) {
      const configuration = here(page.blocks("haproxy")[0] ?? "").replace(
        /bind :443 .*/,
        `bind ${host}:8080`,
      );
      writeFileSync(join(folder, "haproxy.cfg"), configuration);
      return ["haproxy", "-db", "-f", join(folder, "haproxy.cfg")];
    },
  },
];

interface Gateway {
  /** Ports of this address are nobody else's. */
  readonly host: string;
  served: Served;
}

/** Two gateways that share their rooms, and the proxy before them. */
async function start(t: TestContext, proxy: Proxy, change: (configuration: string) => string) {
  const redis = await startRedis();
  t.after(() => redis.close());
  const startOne = async (host: string): Promise<Served> => {
    const process = serve(
      `listeners: { http: { address: "${host}:8080" }, admin: { address: "${host}:9090" } }
http: { forwarded: { trusted_hops: 1 } }
realtime: { ${served}, broker: { type: redis, url: "redis://127.0.0.1:${redis.port}" } }
server: { drain: 2s }
upstreams: { echo: { targets: ["127.0.0.1:1"] } }
services: [{ service: test.v1.Echo, upstream: echo }]\n`,
    );
    t.after(() => process.close());
    await process.logged(line => "http" in line);
    return process;
  };
  const gateways: Gateway[] = [];
  for (const host of [ownHost(), ownHost()]) gateways.push({ host, served: await startOne(host) });
  const folder = mkdtempSync(join(tmpdir(), "protogate-proxy-"));
  const host = ownHost();
  const here = (configuration: string): string =>
    change(
      gateways.reduce((known, each, n) => known.replaceAll(`10.0.0.${n + 1}`, each.host), configuration),
    );
  t.after(() => rmSync(folder, { recursive: true }));
  t.after(await startProxy(proxy.prepare(folder, host, here), host, 8080));
  // Until the proxy has found the gateways.
  while ((await get(`http://${host}:8080/ws`)).status >= 500);
  return {
    host,
    gateways,
    restart: async (gateway: Gateway): Promise<void> => {
      gateway.served.signal("SIGTERM");
      await gateway.served.ended;
      gateway.served = await startOne(gateway.host);
    },
  };
}

/** The sessions without a WebSocket of that gateway. */
async function sessions({ host }: Gateway): Promise<number> {
  const { text: metrics } = await get(`http://${host}:9090/metrics`);
  return [...metrics.matchAll(/^protogate_ws_fallback_connections\{.*\} (\d+)$/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
}

for (const proxy of proxies) {
  const skip =
    spawnSync(proxy.name, ["-v"]).error === undefined
      ? missing("redis-server")
      : `${proxy.name} is not installed`;

  test(`${proxy.name} sends all requests of a session to its gateway, and clients of different addresses to both`, {
    skip,
  }, async t => {
    const { host, gateways } = await start(t, proxy, each => each);
    const ask = async (
      localAddress: string,
      method: string,
      headers: Readonly<Record<string, string>>,
      body = "",
    ): Promise<{ status: number; body: string }> => {
      const options = { host, port: 8080, path: "/ws", method, headers, localAddress, agent: false };
      const [response] = await once(request(options).end(body), "response");
      return { status: response.statusCode, body: await text(response) };
    };
    for (let n = 1; (await Promise.all(gateways.map(sessions))).includes(0); n++) {
      assert.ok(n <= 64, "one gateway gets all clients");
      const address = `127.0.0.${n}`;
      const { session } = JSON.parse((await ask(address, "POST", {})).body) as { session: string };
      const headers = { "protogate-session": session };
      for (let number = 1; number <= 4; number++) {
        const sent = { ...headers, "protogate-number": `${number}`, "content-type": "application/x-ndjson" };
        assert.equal((await ask(address, "POST", sent, '{"type":"ping"}')).status, 204);
        const polled = await ask(address, "GET", { ...headers, "protogate-received": `${number - 1}` });
        assert.deepEqual(JSON.parse(polled.body), { from: number, frames: [{ type: "pong" }] });
      }
    }
  });

  test(`clients behind ${proxy.name} account for every message while gateways are restarted one after the other, and go where it sends them`, {
    skip,
  }, async t => {
    const { host, gateways, restart } = await start(t, proxy, proxy.byName);
    const members: { readonly room: Room; readonly ledger: Ledger; readonly states: string[] }[] = [];
    const join = async (): Promise<void> => {
      const n = members.length;
      const client = connectTo(t, 8080, {
        url: `ws://${host}:8080/ws?client=${n}`,
        transports: [n % 3 === 0 ? "websocket" : (fallbacks[n % 2] as (typeof fallbacks)[0])],
      });
      const states: string[] = [];
      client.on("state", state => states.push(state.state === "waiting" ? state.reason : state.state));
      const room = client.room("x", { from: `M${n}` });
      members.push({ room, ledger: new Ledger(room), states });
      await room.join();
    };
    while (members.length < 6 || (await Promise.all(gateways.map(sessions))).includes(0)) {
      assert.ok(members.length < 40, "one gateway gets all clients");
      await join();
    }
    const first = members.map(({ ledger }) => ledger);
    const sent: string[] = [];
    const sayAll = async (): Promise<void> => {
      await Promise.all(
        members.map(async ({ room }, n) => {
          const message = `${n} ${sent.length}`;
          await room.send(message);
          sent.push(message);
        }),
      );
    };
    await sayAll();
    for (const gateway of gateways) {
      const restarted = restart(gateway);
      let done = false;
      void restarted.then(() => {
        done = true;
      });
      while (!done) await sayAll();
      await restarted;
      // The proxy finds it again, and sends it the clients that it had.
      while ((await sessions(gateway)) === 0) await sayAll();
    }
    await sayAll();
    for (const ledger of first) {
      for (const message of sent) await ledger.has(message);
      assert.deepEqual([ledger.lost, ledger.epochs], [0, 0]);
      assert.equal(new Set(ledger.texts).size, ledger.texts.length, "delivered twice");
    }
    // Where the proxy finds a gateway again before its clients come back, none gets a 404.
    assert.match(members.flatMap(({ states }) => states).join("\n"), /SHUTTING_DOWN/);
  });
}
