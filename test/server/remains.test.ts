import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { EngineOptions } from "../../src/server/engine.js";
import type { InboundRequest } from "../../src/server/inbound-request.js";
import { startFastifyEngine } from "../../src/server/node/fastify-engine.js";
import type { ResponseWriter } from "../../src/server/response-writer.js";
import { startUwsEngine } from "../../src/server/uws/uws-engine.js";
import { uwsSkipped } from "../engine.js";
import { collect, leastOfThree } from "../old-space.js";
import { onLoopback } from "./loopback.js";

const skipUws = await uwsSkipped();

/** What is sent, and when the client leaves. */
const requests: Readonly<Record<string, { readonly text: string; readonly leaves: boolean }>> = {
  "requests whose client leaves": { text: "GET /never HTTP/1.1\r\nhost: a\r\n\r\n", leaves: true },
  "bodies whose client leaves": {
    text: "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nab",
    leaves: true,
  },
  "bodies that do not arrive in time": {
    text: "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nab",
    leaves: false,
  },
  "bodies that are too large": {
    text: `POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5000\r\n\r\n${"x".repeat(3000)}`,
    leaves: false,
  },
  "heads that are refused": {
    text: `GET /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\nx: ${"y".repeat(2000)}\r\n\r\n`,
    leaves: false,
  },
  "requests that are answered": {
    text: "GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    leaves: false,
  },
};

for (const [name, start, skip] of [
  ["fastify", startFastifyEngine, false],
  ["uws", startUwsEngine, skipUws],
] as const) {
  describe(`nothing stays (${name})`, { skip, timeout: 120_000 }, () => {
    for (const [what, { text, leaves }] of Object.entries(requests)) {
      it(`nothing remains of ${what} (${name})`, async () => {
        let made = 0;
        let gone = 0;
        const registry = new FinalizationRegistry<undefined>(() => void gone++);
        const options: EngineOptions = {
          ...onLoopback,
          requestTimeout: 200,
          handle: (request, response) => {
            made++;
            registry.register(request, undefined);
            void answer(request, response);
          },
        };
        const engine = await start(options);
        const round = async (): Promise<void> => {
          const connections = Array.from({ length: 100 }, async () => {
            const socket = connect(engine.port, "127.0.0.1");
            socket.on("error", () => undefined);
            socket.resume();
            const seen = made;
            socket.write(text);
            if (leaves) {
              while (made === seen) await turn();
              socket.destroy();
            }
            // `once` would reject where the connection is reset.
            if (!socket.closed) await new Promise(resolve => socket.on("close", resolve));
          });
          await Promise.all(connections);
          // What has been told to go needs turns to be gone.
          for (let turns = 0; turns < 20; turns++) await turn();
          collect();
          await turn();
          collect();
        };
        for (let warm = 0; warm < 3; warm++) await round();
        const grown = await leastOfThree(async () => {
          const was = process.memoryUsage();
          for (let rounds = 0; rounds < 3; rounds++) await round();
          const is = process.memoryUsage();
          return is.heapUsed + is.external - was.heapUsed - was.external;
        });
        // 300 requests, each of which has been several kilobytes.
        assert.ok(grown < 600_000, `${grown} bytes have stayed`);
        for (let turns = 0; turns < 1000 && gone < made; turns++) {
          await turn();
          if (turns % 100 === 0) collect();
        }
        // The last one may still be in a register.
        assert.ok(gone >= made - 2, `${made - gone} of ${made} requests have stayed`);
        await engine.close();
      });
    }
  });
}

/** `/never` is a call that its backend does not answer. */
async function answer(request: InboundRequest, response: ResponseWriter): Promise<void> {
  try {
    await request.body(100);
    if (request.path !== "/never") response.send(200, [], "ok");
  } catch {
    response.send(400, [], "");
  }
}
