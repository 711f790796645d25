/** An engine that answers every request at once by a prepared reply: what HTTP alone costs. `ENGINE` names it. */

import { holdYoungGeneration, sizeYoungGeneration } from "../../src/net/young-generation.js";
import { startFastifyEngine } from "../../src/server/node/fastify-engine.js";
import { startUwsEngine } from "../../src/server/uws/uws-engine.js";
import { smallReply } from "../content.js";

holdYoungGeneration();
sizeYoungGeneration();
const headers = [["content-type", "application/json"]] as const;
const body = JSON.stringify(smallReply);
const start = process.env.ENGINE === "uws" ? startUwsEngine : startFastifyEngine;
const engine = await start({
  host: "127.0.0.1",
  port: 0,
  tls: undefined,
  headerLimit: 16_384,
  requestTimeout: 30_000,
  handle: (_request, response) => response.send(200, headers, body),
  refused: () => undefined,
});
process.stdout.write(`listening ${engine.port}\n`);
