import type { ServerTls } from "../../../src/net/server-tls.js";
import type { Engine } from "../../../src/server/engine.js";
import { startFastifyEngine } from "../../../src/server/node/fastify-engine.js";

/** A listener that answers every request once it has arrived, with more bytes than the smallest window that h2spec sets. */
export function startServer(tls: ServerTls | undefined): Promise<Engine> {
  return startFastifyEngine({
    host: "127.0.0.1",
    port: 0,
    tls,
    http2: true,
    headerLimit: 16_384,
    requestTimeout: 10_000,
    refused: () => undefined,
    handle: async (request, response) => {
      try {
        await request.body(1 << 20);
        response.send(200, [["content-type", "text/plain"]], "It works.");
      } catch {
        response.abandon();
      }
    },
  });
}
