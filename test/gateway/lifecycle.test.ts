import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { engineUnderTest } from "../engine.js";
import { echoProto, startEcho } from "./echo.js";
import { echo, type RawHandler, send, startBackend, startTestGateway } from "./harness.js";

/** A handler that answers when it is told to. */
function held(): { handler: RawHandler; reached: Promise<void>; release: () => void } {
  let reach: () => void = () => undefined;
  let release: () => void = () => undefined;
  const reached = new Promise<void>(resolve => {
    reach = resolve;
  });
  const handler: RawHandler = (call, reply) => {
    release = () => reply(null, call.request);
    reach();
  };
  return { handler, reached, release: () => release() };
}

describe("closing", () => {
  it("closing fails readiness, refuses new connections and finishes requests under way", async () => {
    const { handler, reached, release } = held();
    const system = await startEcho("", "", { Get: handler });
    const { gateway } = system;
    assert.equal((await send(`${gateway.admin}/readyz`)).status, 200);
    const answer = send(`${gateway.url}/v1/items/a`);
    await reached;
    const closed = gateway.close();
    const ready = await send(`${gateway.admin}/readyz`);
    assert.equal(ready.status, 503);
    assert.match(ready.text, /shutting down/);
    await assert.rejects(fetchOnNewConnection(gateway.httpPort));
    release();
    const { status, headers } = await answer;
    assert.equal(status, 200);
    assert.equal(headers.get("connection"), "close");
    await closed;
    await system.backend.close();
  });

  it("a request on a connection that was idle when the gateway began to close is served with connection: close", async () => {
    const system = await startEcho("", "", {});
    const idle = connect(system.gateway.httpPort, "127.0.0.1");
    const ask = async (): Promise<string> => {
      const answered = once(idle, "data");
      idle.write("POST /v1/items HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}");
      return String((await answered)[0]);
    };
    await ask();
    const ended = once(idle, "close");
    // uWebSockets.js does not tell that the last connection has ended: there it waits for all of the time.
    const closed = system.gateway.close(engineUnderTest() === "uws" ? 2_000 : 30_000);
    await assert.rejects(fetchOnNewConnection(system.gateway.httpPort));
    const served = await ask();
    assert.match(served, /^HTTP\/1\.1 \d+ /);
    assert.match(served, /connection: close/i);
    await ended;
    await closed;
    await system.backend.close();
  });

  it("connections that stay idle end when the time for requests on their way is over", async () => {
    const system = await startEcho("", "", {});
    const idle = connect(system.gateway.httpPort, "127.0.0.1");
    const answered = once(idle, "data");
    idle.write("GET /v1/items/a HTTP/1.1\r\nhost: a\r\n\r\n");
    await answered;
    const ended = once(idle, "close");
    await system.gateway.close(50);
    await ended;
    await system.backend.close();
  });

  it("closing ends requests that outlive the drain time", async () => {
    const { handler, reached } = held();
    const system = await startEcho("timeout: 30s", "server: { drain: 50ms }", { Get: handler });
    const answer = send(`${system.gateway.url}/v1/items/a`);
    answer.catch(() => undefined);
    await reached;
    await system.gateway.close();
    await assert.rejects(answer);
    await system.backend.close();
  });
});

describe("reloading", () => {
  it("a reload warns about settings that take effect only after a restart", async () => {
    const gateway = await startTestGateway("telemetry: { log: { level: info } }\n", {});
    try {
      gateway.write(
        "gateway.yaml",
        "telemetry: { log: { level: debug }, metrics: { buckets: [1] } }\nhttp: { limits: { header: 8KiB } }\n",
      );
      await gateway.reload();
      const warning = gateway.log.find(line => line.level === "warn");
      assert.deepEqual(warning?.settings, ["http.limits.header", "telemetry.metrics"]);
    } finally {
      await gateway.close();
    }
    assert.deepEqual(
      gateway.log.slice(-2).map(line => line.msg),
      ["shutting down", "closed"],
    );
  });

  const yaml = (port: number, service: string): string => `
descriptors: [{ protos: ./protos }]
upstreams: { echo: { targets: ["127.0.0.1:${port}"] } }
services: [{ service: test.v1.Echo, upstream: echo${service} }]
`;

  it("a reload serves new requests by the new configuration and lets old ones finish on the old", async () => {
    const { handler, reached, release } = held();
    const backend = await startBackend({ "/test.v1.Echo/Get": handler, "/test.v1.Echo/Create": echo });
    const gateway = await startTestGateway(yaml(backend.port, ""), { "protos/echo.proto": echoProto });
    const old = send(`${gateway.url}/v1/items/a`);
    await reached;
    gateway.write("gateway.yaml", yaml(backend.port, ", prefix: /api"));
    const reloaded = gateway.reload();
    await gateway.logged(line => line.msg === "configuration reloaded");
    assert.equal((await send(`${gateway.url}/v1/items`, { method: "POST" })).status, 404);
    assert.equal((await send(`${gateway.url}/api/v1/items`, { method: "POST" })).status, 200);
    release();
    assert.equal((await old).status, 200);
    await reloaded;
    await gateway.close();
    await backend.close();
  });

  it("a reload with errors keeps the old configuration and says why", async () => {
    const system = await startEcho();
    const { gateway } = system;
    gateway.write("gateway.yaml", "services: [{ service: test.v1.Ecoh, upstream: none }]\n");
    await gateway.reload();
    assert.equal((await send(`${gateway.url}/v1/items/a`)).status, 200);
    const line = await gateway.logged(entry => entry.level === "error");
    assert.match(String(line.error), /none/);
    const { text } = await send(`${gateway.admin}/metrics`);
    assert.match(text, /protogate_config_reloads_total\{result="failure"\} 1/);
    assert.match(text, /protogate_config_reloads_total\{result="success"\} 1/);
    await system.close();
  });
});

describe("many requests at once", () => {
  it("each of many concurrent requests gets its own response", async () => {
    const system = await startEcho();
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, index) => send(`${system.gateway.url}/v1/items/${index}`)),
    );
    assert.deepEqual(
      answers.map(answer => answer.json.id),
      answers.map((_, index) => String(index)),
    );
    const { text } = await send(`${system.gateway.admin}/metrics`);
    assert.match(text, /protogate_http_requests_in_flight 0/);
    await system.close();
  });
});

function fetchOnNewConnection(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request({ port, host: "127.0.0.1", path: "/v1/items/b", agent: new Agent() }, response => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
}
