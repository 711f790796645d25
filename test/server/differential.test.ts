import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Engine, EngineOptions } from "../../src/server/engine.js";
import {
  BodyTooLargeError,
  type InboundRequest,
  MalformedBodyError,
} from "../../src/server/inbound-request.js";
import { startFastifyEngine } from "../../src/server/node/fastify-engine.js";
import type { ResponseWriter } from "../../src/server/response-writer.js";
import { startUwsEngine } from "../../src/server/uws/uws-engine.js";
import { uwsSkipped } from "../engine.js";
import { onLoopback } from "./loopback.js";
import { oddBodies } from "./odd-bodies.js";
import { oddHeaders, oddTargets } from "./odd-heads.js";
import type { OddRequest, Outcome } from "./odd-request.js";
import { converse, statusesOf } from "./raw-client.js";
import { smugglingAttempts } from "./smuggling.js";

const groups: Readonly<Record<string, readonly OddRequest[]>> = {
  "request targets and lines": oddTargets,
  headers: oddHeaders,
  bodies: oddBodies,
  "bodies whose end is in doubt": smugglingAttempts,
};

/** An engine whose requests are written down and answered a turn later, as calls of an upstream are. */
class Subject {
  #engine: Engine | undefined;
  #seen: string[] = [];

  async start(start: (options: EngineOptions) => Promise<Engine>): Promise<void> {
    this.#engine = await start({
      ...onLoopback,
      handle: (request, response) => void this.#answer(request, response, this.#seen),
    });
  }

  close(): Promise<void> | undefined {
    return this.#engine?.close();
  }

  async outcome(parts: readonly string[], expected: Outcome): Promise<Outcome> {
    const seen: string[] = [];
    this.#seen = seen;
    const { port } = this.#engine as Engine;
    const replies = (/ -> (.*)|^-> (.*)/.exec(expected)?.[0].match(/\b[2-5]\d\d\b/g) ?? []).length;
    const { text, closed } = await converse(port, parts, replies, expected.endsWith("closed"));
    return [...seen.sort().join("; ").split(" "), "->", ...statusesOf(text), closed ? "closed" : ""]
      .filter(word => word !== "")
      .join(" ");
  }

  async #answer(request: InboundRequest, response: ResponseWriter, seen: string[]): Promise<void> {
    const { method, path, query } = request;
    try {
      const { length } = await request.body(64);
      const headers = ["x", "cookie", "content-type"].flatMap(name => {
        const value = request.header(name);
        return value === undefined || name.length + value.length > 64 ? [] : [` ${name}=${value}`];
      });
      seen.push(`${method} ${path}${query === "" ? "" : `?${query}`} ${length}${headers.join("")}`);
      setImmediate(() => response.send(200, [["content-type", "text/plain"]], "ok"));
    } catch (error) {
      response.send(statusOf(error), [], "");
    }
  }
}

function statusOf(error: unknown): number {
  if (error instanceof BodyTooLargeError) return 413;
  return error instanceof MalformedBodyError ? 400 : 499;
}

const skip = await uwsSkipped();

describe("the engines, sent the same bytes", { skip }, () => {
  const fastify = new Subject();
  const uws = new Subject();
  before(async () => {
    await fastify.start(startFastifyEngine);
    await uws.start(startUwsEngine);
  });
  after(async () => {
    await fastify.close();
    await uws.close();
  });

  for (const [group, rows] of Object.entries(groups)) {
    describe(group, () => {
      for (const { what, parts, outcome } of rows) {
        const expected = typeof outcome === "string" ? { fastify: outcome, uws: outcome } : outcome;
        it(
          typeof outcome === "string" ? `agree on ${what}` : `differ in ${what}: ${outcome.because}`,
          async () => {
            assert.equal(await fastify.outcome(parts, expected.fastify), expected.fastify, "fastify");
            assert.equal(await uws.outcome(parts, expected.uws), expected.uws, "uws");
          },
        );
      }
    });
  }
});
