import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Fault } from "./fault.js";
import { counted, echoConfig, withBackends, withGateway, withTcpServer } from "./system.js";

/** Clients that only connect. */
const flood = 1500;

export const clientFaults: readonly Fault[] = [
  {
    name: "clients open many connections and say nothing",
    run: () =>
      withBackends(1, ([backend]) => {
        const limits = "http: { limits: { request_timeout: 2s } }\n";
        return withGateway(echoConfig([backend!.port]) + limits, async gateway => {
          const idle = await Promise.all(Array.from({ length: flood }, () => opened(gateway.port)));
          const closed = Promise.all(idle.map(socket => once(socket, "close")));
          const responses = [];
          for (let index = 0; index < 50; index++) responses.push(await gateway.get("/v1/items/1"));
          const seen = counted(responses);
          assert.equal(seen, "200 ×50");
          // A request that has begun must come to its end in time.
          for (const socket of idle) socket.write("GET /v1/items/1 HTTP/1.1\r\nhost: a\r\nx-slow: ");
          await closed;
          return `${flood} idle connections, others meanwhile: ${seen}; all closed once they had begun a request`;
        });
      }),
  },
  {
    name: "clients send their requests byte by byte",
    run: () =>
      withBackends(1, ([backend]) => {
        const limits = "http: { limits: { request_timeout: 1s } }\n";
        return withGateway(echoConfig([backend!.port]) + limits, async gateway => {
          const slow = await Promise.all(Array.from({ length: 50 }, () => opened(gateway.port)));
          const heads = slow.map(async (socket, index) => {
            const text = index % 2 === 0 ? head : `${post}{"id": "`;
            let sent = 0;
            const timer = setInterval(() => socket.write(text[sent++] ?? "x"), 10);
            let received = "";
            socket.on("data", data => {
              received += data;
            });
            await once(socket, "close");
            clearInterval(timer);
            return received.split(" ")[1] ?? "closed";
          });
          const responses = [];
          for (let index = 0; index < 20; index++) responses.push(await gateway.get("/v1/items/1"));
          assert.equal(counted(responses), "200 ×20");
          const ends = new Set(await Promise.all(heads));
          for (const end of ends) assert.ok(end === "408" || end === "closed", end);
          return `${[...ends].join(" or ")} after request_timeout; others meanwhile: ${counted(responses)}`;
        });
      }),
  },
  {
    name: "clients do not read their responses",
    run: async () => {
      const megabytes = 64;
      let sent = 0;
      return withTcpServer(
        socket => {
          socket.once("data", () => {
            socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${megabytes << 20}\r\n\r\n`);
            const piece = Buffer.alloc(1 << 20);
            const more = (): void => {
              while (sent < 8 * (megabytes << 20)) {
                sent += piece.length;
                if (!socket.write(piece)) {
                  socket.once("drain", more);
                  return;
                }
              }
            };
            more();
          });
        },
        port => {
          const config = `upstreams: { old: { protocol: http, targets: ["http://127.0.0.1:${port}"], timeout: 3s } }
http: { proxy: [{ prefix: /old, upstream: old }] }
`;
          return withGateway(config, async gateway => {
            const before = await gateway.metric(/^process_resident_memory_bytes (\d+)/m);
            const readers = await Promise.all(Array.from({ length: 8 }, () => opened(gateway.port)));
            for (const reader of readers) {
              reader.pause();
              reader.write("GET /old/x HTTP/1.1\r\nhost: a\r\n\r\n");
            }
            await new Promise(resolve => setTimeout(resolve, 1500));
            const grown =
              ((await gateway.metric(/^process_resident_memory_bytes (\d+)/m)) - before) / (1 << 20);
            for (const reader of readers) reader.destroy();
            assert.equal((await gateway.get("/nowhere")).status, 404);
            assert.ok(grown < 128, `memory grew by ${grown.toFixed(0)} MiB`);
            return `8 readers of ${megabytes} MiB each that do not read: memory grew by ${grown.toFixed(0)} MiB`;
          });
        },
      );
    },
  },
];

const head = "GET /v1/items/1 HTTP/1.1\r\nhost: a\r\nx-slow: ";
const post =
  "POST /v1/items HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";

async function opened(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.resume();
  return socket;
}
