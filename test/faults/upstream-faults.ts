import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { get } from "../workers/served.js";
import type { Fault } from "./fault.js";
import { counted, echoConfig, named, until, withBackends, withGateway, withTcpServer } from "./system.js";

/** A response, and how long it took in milliseconds. */
async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const started = performance.now();
  return [await work(), Math.round(performance.now() - started)];
}

export const upstreamFaults: readonly Fault[] = [
  {
    name: "an upstream is killed, and comes back",
    inSuite: true,
    run: () =>
      withBackends(1, ([backend]) =>
        withGateway(echoConfig([backend!.port]), async gateway => {
          assert.equal((await gateway.get("/v1/items/1")).status, 200);
          await backend!.kill();
          const gone = await Promise.all([1, 2, 3].map(() => gateway.get("/v1/items/1")));
          assert.equal(counted(gone), "503 UPSTREAM_UNAVAILABLE ×3");
          await backend!.start();
          await until(() => gateway.get("/v1/items/1"), 200);
          return `${counted(gone)}, then 200 again`;
        }),
      ),
  },
  {
    name: "an upstream is paused",
    run: () =>
      withBackends(1, ([backend]) =>
        withGateway(echoConfig([backend!.port]), async gateway => {
          assert.equal((await gateway.get("/v1/items/1")).status, 200);
          backend!.signal("SIGSTOP");
          const [paused, ms] = await timed(() => gateway.get("/v1/items/1"));
          assert.equal(named(paused), "504 UPSTREAM_TIMEOUT");
          assert.ok(ms >= 990, `after ${ms} ms`);
          backend!.signal("SIGCONT");
          await until(() => gateway.get("/v1/items/1"), 200);
          return `${named(paused)} after ${ms} ms of a timeout of 1000, then 200 again`;
        }),
      ),
  },
  {
    name: "one upstream is slow, others are not",
    run: () =>
      withBackends(1, ([backend]) =>
        withTcpServer(
          socket => void socket.resume(),
          async silent => {
            const config = `upstreams:
  echo: { targets: ["127.0.0.1:${backend!.port}"] }
  slow: { protocol: http, targets: ["http://127.0.0.1:${silent}"], timeout: 2s }
services: [{ service: test.v1.Echo, upstream: echo }]
http: { proxy: [{ prefix: /slow, upstream: slow }] }
`;
            return withGateway(config, async gateway => {
              const slow = Promise.all(Array.from({ length: 100 }, () => gateway.get("/slow/x")));
              const fast = [];
              for (let index = 0; index < 50; index++) fast.push(await gateway.get("/v1/items/1"));
              assert.equal(counted(fast), "200 ×50");
              const seen = counted(await slow);
              assert.equal(seen, "504 UPSTREAM_TIMEOUT ×100");
              return `slow: ${seen}; others meanwhile: ${counted(fast)}`;
            });
          },
        ),
      ),
  },
  {
    name: "an upstream resets its connections",
    inSuite: true,
    run: () =>
      withTcpServer(
        socket => void socket.once("data", () => socket.resetAndDestroy()),
        port =>
          withGateway(echoConfig([port]), async gateway => {
            const responses = [];
            for (let index = 0; index < 10; index++) responses.push(await gateway.get("/v1/items/1"));
            const seen = counted(responses);
            assert.equal(seen, "503 UPSTREAM_UNAVAILABLE ×10");
            assert.ok(await gateway.ready());
            return seen;
          }),
      ),
  },
  {
    name: "a gRPC upstream lies about the length of a message",
    inSuite: true,
    run: async () => {
      const lies = createHttp2Server();
      lies.on("stream", (stream: ServerHttp2Stream) => {
        stream.on("error", () => undefined).resume();
        stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.end(Buffer.from([0, 0, 0, 1, 0, 1, 2, 3]));
      });
      lies.listen(0, "127.0.0.1");
      await once(lies, "listening");
      const { port } = lies.address() as AddressInfo;
      try {
        return await withGateway(echoConfig([port]), async gateway => {
          const seen = named(await gateway.get("/v1/items/1"));
          assert.equal(seen, "502 UPSTREAM_PROTOCOL");
          return seen;
        });
      } finally {
        lies.close();
      }
    },
  },
  {
    name: "an HTTP upstream lies about the length of its body",
    run: () =>
      withTcpServer(
        socket =>
          void socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")),
        port => {
          const config = `upstreams: { old: { protocol: http, targets: ["http://127.0.0.1:${port}"] } }
http: { proxy: [{ prefix: /old, upstream: old }] }
`;
          return withGateway(config, async gateway => {
            const outcome = await gateway.get("/old/x").catch((error: Error) => error);
            const whole = !(outcome instanceof Error) && outcome.status === 200;
            assert.ok(!whole, "a body that was cut short came as a whole one");
            const seen =
              outcome instanceof Error ? "the connection ends before the length is reached" : named(outcome);
            assert.equal((await gateway.get("/nowhere")).status, 404);
            return seen;
          });
        },
      ),
  },
  {
    name: "one of three endpoints is dead",
    run: () =>
      withBackends(3, backends => {
        const retry = ", retry: { attempts: 3, on: [UNAVAILABLE], backoff: 1ms, budget: 1 }";
        const ports = backends.map(({ port }) => port);
        return withGateway(echoConfig(ports, retry).replace("timeout: 1s", "timeout: 20s"), async gateway => {
          for (let index = 0; index < 9; index++) await gateway.get("/v1/items/1");
          const running = Promise.all(
            Array.from({ length: 300 }, (_, index) =>
              gateway.get(`/v1/items/${index}`).catch((error: Error) => error),
            ),
          );
          await backends[1]?.kill();
          const responses = await running;
          for (let index = 0; index < 100; index++) responses.push(await gateway.get("/v1/items/1"));
          const seen = counted(responses);
          assert.equal(seen, "200 ×400");
          return seen;
        });
      }),
  },
  {
    name: "an HTTP upstream is gone",
    run: async () => {
      const server = createHttpServer((_request, response) => response.end("fine"));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      const config = `upstreams: { old: { protocol: http, targets: ["http://127.0.0.1:${port}"] } }
http: { proxy: [{ prefix: /old, upstream: old }] }
`;
      return withGateway(config, async gateway => {
        assert.equal((await gateway.get("/old/x")).status, 200);
        server.close();
        server.closeAllConnections();
        await once(server, "close");
        const gone = named(await get(`http://127.0.0.1:${gateway.port}/old/x`));
        assert.equal(gone, "503 UPSTREAM_UNAVAILABLE");
        return gone;
      });
    },
  },
];
