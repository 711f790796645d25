import assert from "node:assert/strict";
import { once } from "node:events";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { Agent, get, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { type ConnectionOptions, connect } from "node:tls";
import { type ClientOptions, WebSocket } from "ws";
import { startGateway } from "../../src/gateway/gateway.js";
import type { Gateway } from "../../src/gateway/gateway-options.js";
import { readConfig } from "../../src/gateway/read-config.js";
import { Authority, type Pair, withoutOpenssl } from "../auth/certificates.js";
import { engineUnderTest, socketEngineUnderTest } from "../engine.js";

describe("certificates of listeners", { skip: withoutOpenssl }, () => {
  const authority = new Authority("test");
  const old = authority.issue("old", "/CN=old", "DNS.1 = old.test\nDNS.2 = both.wild.test");
  const renewed = authority.issue("renewed", "/CN=renewed", "DNS.1 = renewed.test");
  const wildcard = authority.issue("wildcard", "/CN=wildcard", "DNS.1 = *.wild.test\nDNS.2 = wild.test");
  const expired = authority.issue("expired", "/CN=expired", "DNS.1 = expired.test", -1);

  const folders: string[] = [];
  after(() => {
    for (const folder of folders) rmSync(folder, { recursive: true });
  });
  const newFolder = (): string => {
    const folder = mkdtempSync(join(tmpdir(), "protogate-"));
    folders.push(folder);
    return folder;
  };
  const put = ({ certFile, keyFile }: Pair, folder: string): void => {
    copyFileSync(certFile, join(folder, "tls.crt"));
    copyFileSync(keyFile, join(folder, "tls.key"));
  };
  const yamlFor = (tls: string, more = ""): string =>
    `listeners:
  http: { address: 127.0.0.1:0, engine: ${engineUnderTest()}, tls: ${tls} }
  realtime: { address: 127.0.0.1:0, tls: ${tls} }
  admin: { address: 127.0.0.1:0, tls: ${tls} }
realtime: { path: /ws, auth: none, origins: ["*"] }
${more}`;
  const lines: Record<string, unknown>[] = [];
  const watching = new Set<() => void>();
  const logTo = {
    write(line: string): void {
      lines.push(JSON.parse(line));
      for (const look of watching) look();
    },
  };
  /** Resolves with a log line from then on. */
  const logged = (message: string): Promise<void> => {
    const from = lines.length;
    return new Promise(resolve => {
      const look = (): void => {
        if (!lines.slice(from).some(({ msg }) => msg === message)) return;
        watching.delete(look);
        resolve();
      };
      watching.add(look);
    });
  };
  const start = (folder: string, yaml: string): Promise<Gateway> => {
    writeFileSync(join(folder, "gateway.yaml"), yaml);
    return startGateway(join(folder, "gateway.yaml"), {
      env: {},
      logTo,
      socketEngine: socketEngineUnderTest(),
    });
  };
  const one = "{ cert: tls.crt, key: tls.key }";
  const portsOf = ({ httpPort, realtimePort, adminPort }: Gateway): number[] => [
    httpPort,
    realtimePort,
    adminPort,
  ];

  /** The common name of the certificate that a new connection is shown. */
  const shown = async (port: number, servername = "", more: ConnectionOptions = {}): Promise<string> => {
    const socket = connect({ port, host: "127.0.0.1", servername, rejectUnauthorized: false, ...more });
    await once(socket, "secureConnect");
    const name = String(socket.getPeerCertificate().subject.CN);
    socket.destroy();
    return name;
  };
  const shownBy = (gateway: Gateway): Promise<string[]> =>
    Promise.all(portsOf(gateway).map(port => shown(port)));

  const status = (port: number, agent: Agent): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      get({ host: "127.0.0.1", port, path: "/none", agent }, response => {
        response.resume().once("end", () => resolve(response.statusCode));
      }).once("error", reject);
    });
  const openSocket = async (port: number): Promise<WebSocket> => {
    const socket = new WebSocket(`wss://127.0.0.1:${port}/ws`, { rejectUnauthorized: false });
    await once(socket, "open");
    return socket;
  };
  let members = 0;
  const joined = async (socket: WebSocket): Promise<void> => {
    const acknowledged = told(socket, '"ack"');
    socket.send(JSON.stringify({ type: "join-room", room_id: "r", from: `member ${members++}`, id: 1 }));
    await acknowledged;
  };
  const told = (socket: WebSocket, text: string): Promise<void> =>
    new Promise(resolve => {
      socket.on("message", data => {
        if (String(data).includes(text)) resolve();
      });
    });

  it("a renewed certificate is shown to new connections of every listener, and open ones stay", async () => {
    const folder = newFolder();
    put(old, folder);
    const gateway = await start(folder, yamlFor(one));
    assert.deepEqual(await shownBy(gateway), ["old", "old", "old"]);
    const agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
    let connections = 0;
    agent.on("keylog", () => connections++);
    assert.equal(await status(gateway.httpPort, agent), 404);
    const before = connections;
    const sockets = await Promise.all([gateway.httpPort, gateway.realtimePort].map(openSocket));
    for (const socket of sockets) await joined(socket);

    put(renewed, folder);
    const report = await gateway.reload();
    assert.equal(report.error, undefined);
    assert.deepEqual(await shownBy(gateway), ["renewed", "renewed", "renewed"]);
    assert.equal(await status(gateway.httpPort, agent), 404);
    assert.equal(connections, before, "the open connection served again");
    const later = await Promise.all([gateway.httpPort, gateway.realtimePort].map(openSocket));
    for (const socket of later) await joined(socket);
    const all = [...sockets, ...later];
    for (const [index, socket] of all.entries()) {
      const text = `message ${index}`;
      const delivered = all.filter(each => each !== socket).map(each => told(each, text));
      socket.send(JSON.stringify({ type: "send-message", room_id: "r", message: text, id: 2 }));
      await Promise.all(delivered);
    }
    for (const socket of all) socket.terminate();
    agent.destroy();
    await gateway.close();
  });

  it("no connection is lost while certificates are renewed under load", async () => {
    const folder = newFolder();
    put(old, folder);
    const gateway = await start(folder, yamlFor(one));
    let reloads = 0;
    let names = new Set<string>();
    const clients = Array.from({ length: 4 }, async () => {
      while (reloads < 6) names.add(await shown(gateway.httpPort));
    });
    for (; reloads < 6; reloads++) {
      put(reloads % 2 === 0 ? renewed : old, folder);
      assert.equal((await gateway.reload()).result, "success");
    }
    await Promise.all(clients);
    for (const name of names) assert.ok(["old", "renewed"].includes(name), name);
    names = new Set([await shown(gateway.httpPort)]);
    assert.deepEqual([...names], ["old"]);
    await gateway.close();
  });

  it("a certificate that cannot be used or has expired is a failed reload, and the one before stays", async () => {
    const folder = newFolder();
    put(old, folder);
    const gateway = await start(folder, yamlFor(one));
    const failed = async (): Promise<string> => String((await gateway.reload()).error);
    copyFileSync(renewed.certFile, join(folder, "tls.crt"));
    assert.match(
      await failed(),
      /: error: the key does not belong to the certificate \(at listeners\.http\.tls\)/,
    );
    writeFileSync(join(folder, "tls.crt"), "-----BEGIN CERTIFICATE-----\n");
    assert.match(await failed(), /tls\.crt" holds no PEM certificate \(at listeners\.http\.tls\)/);
    put(expired, folder);
    assert.match(
      await failed(),
      /^.*gateway\.yaml:2:\d+: error: the certificate expired on \d{4}-\d\d-\d\d; the listener keeps the one that it has \(at listeners\.http\.tls\.cert\)$/,
    );
    assert.deepEqual(await shownBy(gateway), ["old", "old", "old"]);
    put(renewed, folder);
    assert.equal((await gateway.reload()).result, "success");
    assert.deepEqual(await shownBy(gateway), ["renewed", "renewed", "renewed"]);
    await gateway.close();
  });

  it("with reload.watch a swapped symbolic link, as Kubernetes mounts secrets, renews certificates", async () => {
    const folder = newFolder();
    for (const [name, pair] of [
      ["..1", old],
      ["..2", renewed],
    ] as const) {
      mkdirSync(join(folder, name));
      put(pair, join(folder, name));
    }
    symlinkSync("..1", join(folder, "..data"));
    for (const file of ["tls.crt", "tls.key"]) symlinkSync(join("..data", file), join(folder, file));
    const gateway = await start(folder, yamlFor(one, "reload: { watch: true }\n"));
    assert.deepEqual(await shownBy(gateway), ["old", "old", "old"]);
    const reloaded = logged("configuration reloaded");
    symlinkSync("..2", join(folder, "..next"));
    renameSync(join(folder, "..next"), join(folder, "..data"));
    await reloaded;
    assert.deepEqual(await shownBy(gateway), ["renewed", "renewed", "renewed"]);
    await gateway.close();
  });

  it("a client gets the certificate for the server name of its handshake, else the first of the list", async () => {
    const folder = newFolder();
    const pair = ({ certFile, keyFile }: Pair): string => `{ cert: ${certFile}, key: ${keyFile} }`;
    const gateway = await start(folder, yamlFor(`[${pair(old)}, ${pair(wildcard)}, ${pair(renewed)}]`));
    for (const port of portsOf(gateway)) {
      const names = [
        "",
        "old.test",
        "a.wild.test",
        "wild.test",
        "both.wild.test",
        "a.b.wild.test",
        "renewed.test",
        "unknown.test",
      ];
      const got: string[] = [];
      for (const name of names) got.push(await shown(port, name));
      assert.deepEqual(got, ["old", "old", "wildcard", "wildcard", "old", "old", "renewed", "old"]);
    }
    const named = { rejectUnauthorized: false, servername: "a.wild.test" };
    const socket = new WebSocket(`wss://127.0.0.1:${gateway.realtimePort}/ws`, named as ClientOptions);
    await once(socket, "open");
    await joined(socket);
    const other = await openSocket(gateway.httpPort);
    const delivered = told(socket, "hello");
    await joined(other);
    other.send(JSON.stringify({ type: "send-message", room_id: "r", message: "hello", id: 2 }));
    await delivered;
    socket.terminate();
    other.terminate();
    const metrics = await new Promise<string>((resolve, reject) => {
      const asked = request({
        host: "127.0.0.1",
        port: gateway.adminPort,
        path: "/metrics",
        rejectUnauthorized: false,
        agent: false,
      });
      asked.once("error", reject).once("response", async response => {
        let text = "";
        for await (const chunk of response) text += chunk;
        resolve(text);
      });
      asked.end();
    });
    const line = `protogate_tls_certificate_expiry_timestamp_seconds{listener="realtime",file="${wildcard.certFile}"} `;
    const seconds = Number(metrics.split(line)[1]?.split("\n")[0]);
    assert.ok(seconds * 1000 > Date.now(), metrics);

    writeFileSync(join(folder, "gateway.yaml"), yamlFor(`[${pair(renewed)}, ${pair(old)}]`));
    assert.equal((await gateway.reload()).error, undefined);
    for (const port of portsOf(gateway)) {
      assert.equal(await shown(port, "a.wild.test"), "renewed");
      assert.equal(await shown(port, "old.test"), "old");
    }
    assert.equal(
      lines.some(({ settings }) => Array.isArray(settings) && settings.includes("listeners.http")),
      false,
    );
    await gateway.close();
  });

  it("with min_version 1.3 a client that speaks TLS 1.2 at most gets no connection", async () => {
    const folder = newFolder();
    put(old, folder);
    const strict = '{ cert: tls.crt, key: tls.key, min_version: "1.3" }';
    const yaml = yamlFor(strict).replace("engine: uws", "engine: fastify");
    const gateway = await start(folder, yaml);
    for (const port of portsOf(gateway)) {
      assert.equal(await shown(port), "old");
      await assert.rejects(shown(port, "", { maxVersion: "TLSv1.2" }), { code: /PROTOCOL_VERSION/ });
    }
    await gateway.close();
  });

  it("min_version 1.3 holds after a reload where the engine can, and is named as needing a restart where it may not", async () => {
    const folder = newFolder();
    put(old, folder);
    const yaml = yamlFor(one).replace("engine: uws", "engine: fastify");
    const gateway = await start(folder, yaml);
    writeFileSync(
      join(folder, "gateway.yaml"),
      yaml.replaceAll("key: tls.key }", 'key: tls.key, min_version: "1.3" }'),
    );
    const from = lines.length;
    assert.equal((await gateway.reload()).error, undefined);
    const named = lines.slice(from).find(({ settings }) => settings !== undefined)?.settings;
    assert.deepEqual(named, ["listeners.realtime.tls.min_version"]);
    for (const port of [gateway.httpPort, gateway.adminPort]) {
      assert.equal(await shown(port), "old");
      await assert.rejects(shown(port, "", { maxVersion: "TLSv1.2" }), { code: /PROTOCOL_VERSION/ });
    }
    await gateway.close();
  });

  it("mistakes of tls are named at their place", () => {
    const folder = newFolder();
    const problemsOf = (http: string): string[] => {
      writeFileSync(join(folder, "gateway.yaml"), `listeners: { http: { address: ":0", ${http} } }\n`);
      try {
        readConfig(join(folder, "gateway.yaml"), {});
        return [];
      } catch (error) {
        return String((error as Error).message)
          .split("\n")
          .map(line => line.replace(/^.*?: error: /, ""));
      }
    };
    const pair = ({ certFile: cert, keyFile: key }: Pair, more = ""): string =>
      `{ cert: ${cert}, key: ${key}${more} }`;
    const anonymous = authority.issue("anonymous", "/CN=anonymous");
    assert.deepEqual(problemsOf(`tls: [${pair(old)}, ${pair(anonymous)}, ${pair(old)}]`), [
      `"${anonymous.certFile}" has no DNS name (subjectAltName) by which clients could select it (at listeners.http.tls[1])`,
      "old.test is in tls[0], too; expected each name in one certificate (at listeners.http.tls[2])",
    ]);
    assert.deepEqual(problemsOf(`tls: [${pair(old)}, ${pair(renewed, ', min_version: "1.3"')}]`), [
      '"min_version" holds for the whole listener; expected it with the first certificate (at listeners.http.tls[1].min_version)',
    ]);
    assert.deepEqual(problemsOf(`engine: uws, tls: ${pair(old, ', min_version: "1.3"')}`), [
      'the engine uws speaks TLS 1.2, too; expected "1.2", or the engine fastify (at listeners.http.tls.min_version)',
    ]);
    assert.deepEqual(problemsOf(`tls: [${pair(old)}, { cert: ${renewed.certFile}, key: ${old.keyFile} }]`), [
      "the key does not belong to the certificate (at listeners.http.tls[1])",
    ]);
    assert.deepEqual(problemsOf(`tls: ${pair(old, ", min_version: 1.1")}`), [
      "expected 1.2 or 1.3, found 1.1 (at listeners.http.tls.min_version)",
    ]);
    assert.deepEqual(problemsOf(`tls: ${pair(old, ", min_version: 1.3")}`), []);
  });
});
