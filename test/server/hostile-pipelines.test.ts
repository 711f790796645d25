import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { after, before as beforeAll, describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import type { Engine, EngineOptions } from "../../src/server/engine.js";
import type { InboundRequest } from "../../src/server/inbound-request.js";
import { startFastifyEngine } from "../../src/server/node/fastify-engine.js";
import type { ResponseWriter } from "../../src/server/response-writer.js";
import { startUwsEngine } from "../../src/server/uws/uws-engine.js";
import { Authority, withoutOpenssl } from "../auth/certificates.js";
import { uwsSkipped } from "../engine.js";
import { before, behind, expectedResponses, hostile, type Piece } from "./hostile-pipelines.js";
import { onLoopback } from "./loopback.js";
import { type RawResponses, readResponses } from "./response-reader.js";

const large = "x".repeat(300_000);

/** Answers each request by its path, and names the path in the response. */
async function answer(request: InboundRequest, response: ResponseWriter): Promise<void> {
  const { path, method } = request;
  const reply = (status: number, body: string, target = path): void =>
    response.send(status, [["x-target", target]], body);
  if (request.upgrade) {
    if (path === "/ws/late") for (let turns = 0; turns < 5; turns++) await turn();
    if (path === "/ws/dropped") response.abandon();
    else reply(403, "refused");
  } else if (path === "/missing") reply(404, "missing");
  else if (path === "/large") reply(200, large);
  else if (method === "POST") {
    try {
      const { length } = await request.body(100);
      reply(200, "read", `${path}:${length}`);
    } catch {
      reply(400, "broken", `${path}:-`);
    }
  } else {
    if (path === "/slow") for (let turns = 0; turns < 20; turns++) await turn();
    reply(200, "ok");
  }
}

/** Takes a connection over, and sends back what comes over it. */
function echo(socket: Socket, head: Buffer): void {
  socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
  socket.write(head);
  socket.resume();
  setImmediate(() => socket.destroySoon());
}

const options: EngineOptions = {
  ...onLoopback,
  requestTimeout: 1000,
  handle: (request, response) => {
    if (request.path === "/throws") throw new Error("the handler is at fault");
    void answer(request, response);
  },
  takeUpgrade: (request, socket, head) => {
    const taken = request.url === "/ws/taken";
    if (taken) echo(socket, head);
    return taken;
  },
  upgrades: target => (target.startsWith("/ws/") ? "connection" : undefined),
};

/** How the client goes: once it has its responses, or at once, in three ways. */
const departures = ["waits", "ends its side", "closes", "resets"] as const;
type Departure = (typeof departures)[number];

interface Attempt {
  readonly pieces: readonly (Piece | undefined)[];
  readonly departure: Departure;
  readonly bytewise?: boolean;
}

const everyAttempt: readonly Attempt[] = departures.flatMap(departure =>
  before.flatMap(first =>
    hostile.flatMap(odd => behind.map(third => ({ pieces: [first, odd, third], departure }))),
  ),
);

const nameOf = ({ pieces, departure, bytewise }: Attempt): string =>
  `${pieces.map(each => each?.what ?? "nothing").join(", then ")}; the client ${departure}${bytewise === true ? ", byte by byte" : ""}`;

/** All that came until the connection was closed, by whichever side. */
async function attempt(socket: Socket, { pieces, departure, bytewise }: Attempt): Promise<string> {
  const bytes = pieces.map(each => each?.bytes ?? "").join("");
  const expected = expectedResponses(pieces).length;
  const methods = methodsOf(pieces);
  let text = "";
  const closed = new Promise(resolve => socket.once("close", resolve));
  socket.on("error", () => undefined);
  socket.setEncoding("latin1");
  socket.on("data", chunk => {
    text += chunk;
    if (departure === "waits" && readResponses(text, methods).responses.length >= expected) socket.end();
  });
  socket.on("end", () => socket.end());
  if (bytewise === true) {
    for (const byte of bytes) {
      socket.write(byte, "latin1");
      await turn();
    }
  } else socket.write(bytes, "latin1");
  if (departure === "ends its side") socket.end();
  if (departure === "closes" || departure === "resets") {
    await turn();
    if (departure === "resets" && "resetAndDestroy" in socket) socket.resetAndDestroy();
    else socket.destroy();
  }
  await closed;
  return text;
}

/** Of the requests that get a response. */
function methodsOf(pieces: readonly (Piece | undefined)[]): string[] {
  return pieces.flatMap(each => (each?.response === undefined ? [] : [each.method]));
}

const descriptors = "/proc/self/fd";

/** Until no connection that was opened in between is left on either side. */
async function descriptorsAgain(count: number): Promise<void> {
  while (readdirSync(descriptors).length > count) await turn();
}

/** Several at a time. */
async function each(attempts: readonly Attempt[], run: (attempt: Attempt) => Promise<void>): Promise<void> {
  const rest = [...attempts];
  const worker = async (): Promise<void> => {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) await run(next);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

const targets = ({ responses }: RawResponses): string[] =>
  responses.map(({ headers, status }) => `${headers.get("x-target")} ${status}`);

const skipUws = await uwsSkipped();

describe("hostile requests between others on one connection", { timeout: 300_000 }, () => {
  let engine: Engine;
  let crashes = 0;
  beforeAll(async () => {
    engine = await startFastifyEngine({ ...options, crashed: () => void crashes++ });
  });
  after(() => engine.close());

  const open = (): Socket => connect({ port: engine.port, host: "127.0.0.1", allowHalfOpen: true });

  for (const departure of departures) {
    const attempts = everyAttempt.filter(each => each.departure === departure);
    it(`hostile requests between others on one connection get their responses in order, or less of them, where the client ${departure} (${attempts.length} ways)`, async () => {
      await each(attempts, async each => {
        const got = targets(readResponses(await attempt(open(), each), methodsOf(each.pieces)));
        const expected = expectedResponses(each.pieces);
        if (departure === "waits") assert.deepEqual(got, expected, nameOf(each));
        else assert.deepEqual(got, expected.slice(0, got.length), nameOf(each));
      });
    });
  }

  it("hostile requests between others on one connection get the same responses where every byte comes alone", async () => {
    const attempts = hostile
      .filter(odd => odd.bytes.length < 1000)
      .map(odd => ({ pieces: [before[2], odd, behind[2]], departure: "waits", bytewise: true }) as const);
    await each(attempts, async each => {
      const got = targets(readResponses(await attempt(open(), each), methodsOf(each.pieces)));
      const expected = expectedResponses(each.pieces);
      // Bytes that come after a connection was closed make the kernel reset it, with what was not read yet.
      const last = each.pieces.some(piece => piece?.last);
      assert.deepEqual(got, last ? expected.slice(0, got.length) : expected, nameOf(each));
    });
  });

  it("hostile requests between others on one connection leave no connection behind, and cost no other one", {
    skip: !existsSync(descriptors),
  }, async () => {
    const innocent = open();
    const answered = (): Promise<void> =>
      new Promise((resolve, reject) => {
        innocent.once("data", chunk => {
          if (String(chunk).startsWith("HTTP/1.1 200")) resolve();
          else reject(new Error(String(chunk)));
        });
        innocent.write("GET /now HTTP/1.1\r\nhost: a\r\n\r\n");
      });
    await answered();
    const count = readdirSync(descriptors).length;
    const some = everyAttempt.filter((_, index) => index % 7 === 0);
    await each(some, async each => void (await attempt(open(), each)));
    await answered();
    await descriptorsAgain(count);
    innocent.destroy();
    await descriptorsAgain(count - 2);
  });

  it("hostile requests between others on one connection end their own connection alone where a handler throws", () =>
    assert.ok(crashes > 0));
});

describe("hostile requests between others on a connection that may speak HTTP/2", {
  timeout: 300_000,
}, () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await startFastifyEngine({ ...options, http2: true, crashed: () => undefined });
  });
  after(() => engine.close());

  it("hostile requests between others get their responses in order where the port speaks HTTP/2, too", async () => {
    const attempts = everyAttempt.filter(({ departure }, index) => departure === "waits" && index % 3 === 0);
    await each(attempts, async each => {
      const socket = connect({ port: engine.port, host: "127.0.0.1", allowHalfOpen: true });
      const got = targets(readResponses(await attempt(socket, each), methodsOf(each.pieces)));
      assert.deepEqual(got, expectedResponses(each.pieces), nameOf(each));
    });
  });
});

describe("hostile requests between others on one connection over TLS", {
  skip: withoutOpenssl,
  timeout: 300_000,
}, () => {
  let engine: Engine;
  beforeAll(async () => {
    const tls = new Authority("Test CA").issue("server", "/CN=localhost", "DNS.1=localhost");
    engine = await startFastifyEngine({ ...options, tls });
  });
  after(() => engine.close());

  it("hostile requests between others on one connection over TLS get their responses in order", async () => {
    const attempts = everyAttempt.filter(each => each.departure === "waits");
    await each(attempts, async each => {
      const socket = connectTls({ port: engine.port, rejectUnauthorized: false });
      const got = targets(readResponses(await attempt(socket, each), methodsOf(each.pieces)));
      assert.deepEqual(got, expectedResponses(each.pieces), nameOf(each));
    });
  });
});

describe("hostile requests between others on one connection (uws)", {
  skip: skipUws,
  timeout: 300_000,
}, () => {
  it("hostile requests between others on one connection (uws) get the responses that they get in order, and leave nothing behind", {
    skip: !existsSync(descriptors),
  }, async context => {
    const engine = await startUwsEngine(options);
    context.after(() => engine.destroy());
    const count = readdirSync(descriptors).length;
    // It lets heads that it cannot read wait for about ten seconds.
    const attempts = everyAttempt.filter(
      each => each.departure !== "waits" && !each.pieces.some(odd => odd?.what === "a handler that throws"),
    );
    await each(attempts, async each => {
      const socket = connect({ port: engine.port, host: "127.0.0.1" });
      const text = await attempt(socket, each);
      const got = [...text.matchAll(/x-target: (\S+)/gi)].map(match => match[1]?.split(":")[0]);
      const expected = each.pieces.map(piece => /\/[a-z/]+|\*/.exec(piece?.bytes ?? "")?.[0]);
      let from = 0;
      for (const target of got) {
        const at = expected.indexOf(target, from);
        assert.ok(at >= 0, `${target} is out of order: ${nameOf(each)}`);
        from = at + 1;
      }
    });
    await descriptorsAgain(count);
  });
});
