import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, type RequestOptions, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import {
  Client,
  credentials,
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { WebSocket } from "ws";
import { readConfig } from "../../src/gateway/read-config.js";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { Page } from "../docs/page.js";
import { ownHost } from "../ports.js";
import { startProxy } from "../proxy-process.js";
import { rawMethod } from "../raw-method.js";
import { type Served, serve } from "../workers/served.js";

const page = new Page("docs/guides/proxies.md");

const proto = `
syntax = "proto3";
package proxied.v1;
import "google/api/annotations.proto";

service Items {
  rpc Get(Item) returns (Item) { option (google.api.http) = { get: "/v1/items/{id}" }; }
  rpc Watch(Item) returns (stream Item) { option (google.api.http) = { get: "/v1/watch" }; }
  rpc Talk(stream Item) returns (stream Item) { option (google.api.http) = { post: "/v1/talk" body: "*" }; }
}
message Item { string id = 1; }
`;

interface Proxy {
  readonly name: string;
  /** Writes its configuration as the page has it, with the addresses of this run. Returns how to start it. */
  prepare(folder: string, here: (text: string) => string): readonly [command: string, ...args: string[]];
  readonly version: readonly [command: string, option: string];
}

const proxies: readonly Proxy[] = [
  {
    name: "nginx",
    version: ["nginx", "-v"],
    prepare(folder, here) {
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
        name => `${name}_temp_path ${folder}/${name};`,
      );
      const text = here(page.blocks("nginx").join("\n"));
      writeFileSync(
        join(folder, "nginx.conf"),
        `daemon off; pid ${folder}/nginx.pid; error_log stderr error; events {}
http { access_log off; ${temporary.join(" ")}\n${text}}\n`,
      );
      return ["nginx", "-e", "stderr", "-c", join(folder, "nginx.conf")];
    },
  },
  {
    name: "haproxy",
    version: ["haproxy", "-v"],
    prepare(folder, here) {
      writeFileSync(join(folder, "haproxy.cfg"), here(page.blocks("haproxy")[0] ?? ""));
      return ["haproxy", "-db", "-f", join(folder, "haproxy.cfg")];
    },
  },
];

it("the configuration of docs/guides/proxies.md passes check", () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-proxies-"));
  try {
    writeFileSync(join(folder, "gateway.yaml"), page.blocks("yaml")[0] ?? "");
    const { diagnostics } = readConfig(join(folder, "gateway.yaml"), { ADMIN_TOKEN: "x".repeat(40) });
    assert.deepEqual(diagnostics, []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

for (const proxy of proxies) describe(`behind ${proxy.name}`, { skip: whyNot(proxy) }, () => behind(proxy));

const haproxy = proxies.find(({ name }) => name === "haproxy") as Proxy;

it("the backend gets the address of a client whose TLS haproxy passes with the PROXY protocol", {
  skip: whyNot(haproxy),
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "protogate-proxy-"));
  const backend = await startBackend();
  const pair = new Authority("edge").issue("edge", "/CN=localhost", "DNS=localhost");
  writeFileSync(join(folder, "edge.pem"), pair.cert);
  writeFileSync(join(folder, "edge.key"), pair.key);
  const served = serve(
    `${(page.blocks("yaml")[1] ?? "")
      .replace("0.0.0.0:8443", "127.0.0.1:0")
      .replace("0.0.0.0:9090", "127.0.0.1:0")
      .replace(/\$\{ADMIN_TOKEN\}/, "x".repeat(40))
      .replace("[10.0.0.3]", "[127.0.0.1]")
      .replaceAll("edge.", `${folder}/edge.`)}
upstreams: { items: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: proxied.v1.Items, upstream: items }]
`,
    proto,
  );
  try {
    const { http, admin } = await served.logged(line => "http" in line);
    const host = ownHost();
    const gateway = `127.0.0.1:${http} send-proxy-v2 port ${admin}`;
    writeFileSync(
      join(folder, "haproxy.cfg"),
      (page.blocks("haproxy")[1] ?? "")
        .replaceAll(/10\.0\.0\.\d:8443 send-proxy-v2 port 9090/g, gateway)
        .replace("bind :443", `bind ${host}:8443`),
    );
    const stop = await startProxy(["haproxy", "-db", "-f", join(folder, "haproxy.cfg")], host, 8443);
    try {
      const [response] = await once(
        request({
          ...{ host, port: 8443, path: "/v1/items/7", rejectUnauthorized: false, agent: false },
          localAddress: "127.0.0.2",
          headers: { "x-forwarded-for": "6.6.6.6" },
        }).end(),
        "response",
      );
      response.resume();
      await once(response, "end");
      assert.equal(response.statusCode, 200);
      assert.deepEqual(backend.last?.get("x-forwarded-for"), ["127.0.0.2"]);
    } finally {
      await stop();
    }
  } finally {
    await served.close();
    backend.close();
    rmSync(folder, { recursive: true });
  }
});

function behind(proxy: Proxy): void {
  const folder = mkdtempSync(join(tmpdir(), "protogate-proxy-"));
  // Ports of this address are nobody else's.
  const host = ownHost();
  const port = 8443;
  const agent = new Agent({ keepAlive: true });
  let backend: Backend;
  let gateways: { served: Served; http: number; admin: number }[];
  let ca: Buffer;
  let stop: () => Promise<unknown>;

  before(async () => {
    backend = await startBackend();
    gateways = await Promise.all([startOne(), startOne()]);
    const authority = new Authority("edge");
    const pair = authority.issue("edge", "/CN=localhost", "DNS=localhost");
    ca = authority.ca.cert;
    writeFileSync(join(folder, "edge.pem"), pair.cert);
    writeFileSync(join(folder, "edge.key"), pair.key);
    writeFileSync(join(folder, "edge.both.pem"), Buffer.concat([pair.cert, pair.key]));
    stop = await startProxy(proxy.prepare(folder, here), host, port);
    // Until the proxy has found the gateways.
    while ((await get("/v1/items/ready")) !== 200);
  });
  after(async () => {
    agent.destroy();
    await stop?.();
    for (const { served } of gateways ?? []) await served.close();
    backend?.close();
    rmSync(folder, { recursive: true });
  });

  it(`${proxy.name} keeps its connections to the gateways`, async () => {
    const used = gateways.map(({ http }) => connectionsTo(http));
    for (let i = 0; i < 40; i++) assert.equal(await get(`/v1/items/${i}`), 200);
    for (const [index, { http }] of gateways.entries())
      assert.ok(connectionsTo(http) - (used[index] as number) <= 2, `${connectionsTo(http)} connections`);
  });

  it(`the backend behind ${proxy.name} gets the client's address, scheme and host, and what the client claims of them stays untrusted`, async () => {
    const headers = {
      "x-forwarded-for": "6.6.6.6",
      "x-forwarded-proto": "gopher",
      "x-forwarded-host": "evil.example",
    };
    await get("/v1/items/7", { ...headers, host: "api.example.com" });
    const sent = ["for", "proto", "host"].map(name => backend.last?.get(`x-forwarded-${name}`));
    assert.deepEqual(sent, [["127.0.0.1, 127.0.0.1"], ["https"], ["api.example.com"]]);
  });

  it(`server-sent events come through ${proxy.name} one by one, as the backend sends them`, async () => {
    const watched = backend.next("watch");
    const outgoing = request(options("GET", "/v1/watch", { headers: { accept: "text/event-stream" } })).end();
    const stream = await watched;
    stream.write(item("one"));
    const [response] = await once(outgoing, "response");
    const text = collect(response);
    await text.until(/"id":"one"/);
    stream.write(item("two"));
    await text.until(/"id":"two"/);
    stream.end();
    await once(response, "end");
  });

  it(`the body of a stream comes through ${proxy.name} while it is sent`, async () => {
    const talked = backend.next("talk");
    const headers = { "content-type": "application/x-ndjson", accept: "application/x-ndjson" };
    const outgoing = request(options("POST", "/v1/talk", { headers }));
    const responded = once(outgoing, "response");
    outgoing.write('{"id":"one"}\n');
    const stream = await talked;
    const [first] = await once(stream, "data");
    assert.deepEqual(first, item("one"));
    const second = once(stream, "data");
    outgoing.end('{"id":"two"}\n');
    assert.deepEqual((await second)[0], item("two"));
    stream.end();
    const [response] = await responded;
    assert.equal(response.statusCode, 200);
    response.resume();
    await once(response, "end");
  });

  it(`a WebSocket comes through ${proxy.name}, both ways, with its close code`, async () => {
    const talked = backend.next("talk");
    const socket = new WebSocket(`wss://${host}:${port}/v1/talk`, { rejectUnauthorized: false });
    await once(socket, "open");
    socket.send('{"id":"one"}');
    const stream = await talked;
    assert.deepEqual((await once(stream, "data"))[0], item("one"));
    const answered = once(socket, "message");
    stream.write(item("two"));
    assert.equal(String((await answered)[0]), '{"id":"two"}');
    const closed = once(socket, "close");
    stream.end();
    assert.equal((await closed)[0], 1000);
  });

  it(`gRPC comes through ${proxy.name}: unary calls, streams both ways, and a status in trailers`, async () => {
    const client = new Client(`${host}:${port}`, credentials.createSsl(ca), {
      "grpc.ssl_target_name_override": "localhost",
      "grpc.default_authority": "localhost",
    });
    try {
      const path = (name: string) => `/proxied.v1.Items/${name}`;
      const unary = (id: string): Promise<Buffer> =>
        new Promise((resolve, reject) => {
          client.makeUnaryRequest(path("Get"), same, same, item(id), (error, value) =>
            error === null ? resolve(value as Buffer) : reject(error),
          );
        });
      assert.deepEqual(await unary("grpc"), item("grpc"));
      await assert.rejects(unary("missing"), { code: status.NOT_FOUND, details: "no such item" });
      const talked = backend.next("talk");
      const talk = client.makeBidiStreamRequest(path("Talk"), same, same);
      const ended = once(talk, "status");
      talk.write(item("one"));
      const stream = await talked;
      assert.deepEqual((await once(stream, "data"))[0], item("one"));
      const answered = once(talk, "data");
      stream.write(item("two"));
      assert.deepEqual((await answered)[0], item("two"));
      talk.resume().end();
      stream.end();
      assert.equal((await ended)[0].code, status.OK);
    } finally {
      client.close();
    }
  });

  it(`a gateway behind ${proxy.name} that gets SIGTERM under load loses no request that may be sent twice, and ends`, async () => {
    const statuses: number[] = [];
    let going = true;
    const clients = Array.from({ length: 8 }, async () => {
      for (let i = 0; going; i++) statuses.push(await get(`/v1/items/${i}`));
    });
    const reach = async (count: number): Promise<void> => {
      while (statuses.length < count) await turn();
    };
    await reach(200);
    const first = gateways[0]?.served;
    first?.signal("SIGTERM");
    assert.equal(await first?.ended, 0);
    await reach(statuses.length + 200);
    going = false;
    await Promise.all(clients);
    assert.deepEqual([...new Set(statuses)], [200]);
  });

  async function startOne(): Promise<{ served: Served; http: number; admin: number }> {
    const served = serve(
      `listeners: { http: { address: "127.0.0.1:0" }, admin: { address: "127.0.0.1:0" } }
http: { forwarded: { trusted_hops: 1 } }
upstreams: { items: { targets: ["127.0.0.1:${backend.port}"] } }
services: [{ service: proxied.v1.Items, upstream: items }]
`,
      proto,
    );
    const { http, admin } = (await served.logged(line => "http" in line)) as { http: number; admin: number };
    return { served, http, admin };
  }

  /** The page's text with the addresses of this run. */
  function here(text: string): string {
    return gateways
      .reduce(
        (known, { http, admin }, index) =>
          known
            .replaceAll(`10.0.0.${index + 1}:8080 port 9090`, `127.0.0.1:${http} port ${admin}`)
            .replaceAll(`10.0.0.${index + 1}:8080`, `127.0.0.1:${http}`),
        text,
      )
      .replace("listen 443", `listen ${host}:${port}`)
      .replace("bind :443", `bind ${host}:${port}`)
      .replaceAll("/etc/ssl/", `${folder}/`);
  }

  function options(method: string, path: string, more: Partial<RequestOptions> = {}): RequestOptions {
    return { host, port, ca, servername: "localhost", agent, method, path, ...more };
  }

  async function get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
    const [response] = await once(request(options("GET", path, { headers })).end(), "response");
    response.resume();
    await once(response, "end");
    return response.statusCode;
  }
}

interface Streams {
  readonly watch: ServerWritableStream<Buffer, Buffer>;
  readonly talk: ServerDuplexStream<Buffer, Buffer>;
}

interface Backend {
  readonly port: number;
  /** The metadata of the last unary call. */
  readonly last: Metadata | undefined;
  /** The next stream of that kind. */
  next<K extends keyof Streams>(kind: K): Promise<Streams[K]>;
  close(): void;
}

async function startBackend(): Promise<Backend> {
  let last: Metadata | undefined;
  const waiting = new Map<keyof Streams, (stream: never) => void>();
  const server = new Server();
  const definition = (name: string, requestStream: boolean, responseStream: boolean) =>
    rawMethod(`/proxied.v1.Items/${name}`, requestStream, responseStream);
  const unary = (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>): void => {
    last = call.metadata;
    if (call.request.equals(item("missing"))) reply({ code: status.NOT_FOUND, details: "no such item" });
    else reply(null, call.request);
  };
  server.addService(
    {
      Get: definition("Get", false, false),
      Watch: definition("Watch", false, true),
      Talk: definition("Talk", true, true),
    },
    {
      Get: unary,
      Watch: (stream: Streams["watch"]) => waiting.get("watch")?.(stream as never),
      Talk: (stream: Streams["talk"]) => waiting.get("talk")?.(stream as never),
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    port,
    get last() {
      return last;
    },
    next: kind =>
      new Promise(resolve => {
        waiting.set(kind, resolve);
      }),
    close: () => server.forceShutdown(),
  };
}

function same(bytes: Buffer): Buffer {
  return bytes;
}

/** An `Item` in bytes. */
function item(id: string): Buffer {
  return Buffer.concat([Buffer.from([10, id.length]), Buffer.from(id)]);
}

/** The text of a response as it comes. */
function collect(response: NodeJS.ReadableStream): { until(pattern: RegExp): Promise<void> } {
  let text = "";
  let look = (): void => undefined;
  response.on("data", (chunk: Buffer) => {
    text += chunk;
    look();
  });
  return {
    until: pattern =>
      new Promise(resolve => {
        look = () => {
          if (pattern.test(text)) resolve();
        };
        look();
      }),
  };
}

/** Connections of clients to a port of loopback, those that ended a moment ago among them. */
function connectionsTo(port: number): number {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readFileSync("/proc/net/tcp", "latin1")
    .split("\n")
    .filter(line => line.trim().split(/\s+/)[2]?.endsWith(remote)).length;
}

function whyNot({ name, version: [command, option] }: Proxy): string | false {
  if (withoutOpenssl) return withoutOpenssl;
  if (process.platform !== "linux") return "counts connections as Linux lists them";
  return spawnSync(command, [option]).status === 0 ? false : `${name} is not installed`;
}
