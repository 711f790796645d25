import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { type ClientOptions, WebSocket } from "ws";
import type { Caller } from "../../src/auth/caller.js";
import type { Identity } from "../../src/auth/identity.js";
import { RequestOrigins } from "../../src/auth/request-origins.js";
import type { Limiter } from "../../src/limits/limiter.js";
import { GatewayError, gatewayFailure } from "../../src/status/failure.js";
import { type Json, serve, until } from "./harness.js";

function identityOf(subject: string, expiresAt?: number): Identity {
  return { provider: "test", subject, scopes: new Set(), claims: {}, metadata: [], expiresAt };
}

/** Takes `Bearer NAME` for NAME, and a cookie `session=NAME` too. */
function authenticator({ header, cookies }: Pick<Caller, "header" | "cookies">): Identity {
  const [, name] = /^Bearer (\w+)$/.exec(header("authorization") ?? "") ?? [];
  const [, guest] = /session=(\w+)/.exec(cookies() ?? "") ?? [];
  const subject = name ?? guest;
  if (subject === undefined)
    throw new GatewayError(
      gatewayFailure("INTERNAL", "no credential", [], { headers: [["www-authenticate", "Bearer"]] }),
    );
  if (subject === "nobody") throw new GatewayError({ ...gatewayFailure("POLICY_DENIED", "not you") });
  return identityOf(subject);
}

const authenticated = { settings: { authenticator: (caller: Caller) => authenticator(bound(caller)) } };

function bound(caller: Caller): Pick<Caller, "header" | "cookies"> {
  return { header: name => caller.header(name), cookies: () => caller.cookies() };
}

interface Refusal {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Json;
}

/** What an upgrade is answered that is refused. */
async function refusal(url: string, protocols: string[] = [], options: ClientOptions = {}): Promise<Refusal> {
  const socket = new WebSocket(`${url}/ws`, protocols, options);
  socket.on("error", () => {});
  const [, response] = await once(socket, "unexpected-response");
  let text = "";
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode, headers: response.headers, body: JSON.parse(text) };
}

/** The subprotocol, code and reason that a socket is opened and closed with. */
async function refusingClose(
  url: string,
  protocols: string[],
  options: ClientOptions = {},
): Promise<[protocol: string, code: number, reason: unknown]> {
  const socket = new WebSocket(`${url}/ws`, protocols, options);
  let protocol = "-";
  socket.on("open", () => {
    protocol = socket.protocol;
    socket.send("nobody reads this");
  });
  const [code, reason] = await once(socket, "close");
  return [protocol, code, JSON.parse(reason.toString())];
}

test("a token is taken from the header or from the subprotocol, and the sender is its subject", async t => {
  const { open } = await serve(t, authenticated);
  const byHeader = await open({ headers: { authorization: "Bearer ada" } });
  const byProtocol = await open({ protocols: ["bearer", "bob"] });
  assert.equal(byProtocol.socket.protocol, "bearer");
  await byHeader.ask({ type: "join-room", room_id: "x", id: 1 });
  byProtocol.say({ type: "join-room", room_id: "x" });
  assert.equal((await byHeader.next()).from, "bob");
  const claim = { type: "send-message", room_id: "x", from: "ada", message: "m", id: 2 };
  assert.equal((await byProtocol.ask(claim)).reason, "FROM_MISMATCH");
  assert.equal((await byProtocol.ask({ ...claim, from: "bob" })).type, "ack");
});

test("a cookie counts for clients that are no page and for pages of a listed origin only", async t => {
  const { open, url } = await serve(t, {
    settings: { ...authenticated.settings, origins: new RequestOrigins(["https://app.example.com"], 0) },
  });
  const headers = { cookie: "session=carol" };
  const page = await open({ headers, origin: "https://app.example.com" });
  await page.ask({ type: "join-room", room_id: "x", id: 1 });
  await open({ headers });
  const foreign = await refusal(url, [], { headers, origin: "https://evil.example" });
  assert.deepEqual([foreign.status, foreign.body.reason], [403, "ORIGIN_NOT_ALLOWED"]);
});

test("without realtime.origins only pages of the own host may open a socket, and cookies of other pages do not count", async t => {
  const { open, url, port } = await serve(t);
  await open({ origin: `http://127.0.0.1:${port}` });
  for (const origin of ["https://evil.example", "null", `http://127.0.0.1:${port + 1}`, "%"]) {
    assert.equal((await refusal(url, [], { origin })).body.reason, "ORIGIN_NOT_ALLOWED");
  }
});

test("a refused upgrade is an HTTP response with the error as JSON and its headers", async t => {
  const { url, metric } = await serve(t, authenticated);
  const { status, headers, body } = await refusal(url, [], { headers: { "x-request-id": "r1" } });
  assert.deepEqual([status, headers["www-authenticate"], headers["x-request-id"]], [500, "Bearer", "r1"]);
  assert.equal(body.message, "no credential");
  const denied = await refusal(url, ["bearer", "nobody"]);
  assert.deepEqual([denied.status, denied.body.reason], [403, "POLICY_DENIED"]);
  assert.equal(await metric('protogate_ws_upgrades_total{result="forbidden"}'), 1);
});

test("with refusals: close, a refused socket opens and is closed with 4000 + its status and the reason", async t => {
  const settings = { ...authenticated.settings, closesRefused: true };
  const { empty, metric, url } = await serve(t, { settings, sockets: { deflate: true } });
  assert.deepEqual(await refusingClose(url, []), ["", 4500, { reason: "INTERNAL" }]);
  assert.deepEqual(await refusingClose(url, ["bearer", "nobody"]), [
    "bearer",
    4403,
    { reason: "POLICY_DENIED" },
  ]);
  const foreign = await refusingClose(url, ["bearer", "ada"], { origin: "https://evil.example" });
  assert.deepEqual(foreign, ["bearer", 4403, { reason: "ORIGIN_NOT_ALLOWED" }]);
  await empty();
  assert.equal(await metric('protogate_ws_upgrades_total{result="forbidden"}'), 1);
  assert.equal(await metric('protogate_ws_upgrades_total{result="accepted"}'), 0);
});

test("with refusals: close, a client that may come later learns when, and any reason fits into the close frame", async t => {
  const reasons = ["RATE_LIMITED", "R".repeat(200)];
  const limiter = {
    needsSubject: false,
    admit(): never {
      throw new GatewayError({
        ...gatewayFailure("RATE_LIMITED", "slowly", [], { retryAfter: 7 }),
        reason: reasons[0] as string,
      });
    },
  };
  const { url } = await serve(t, { settings: { limiters: [limiter], closesRefused: true } });
  assert.deepEqual(await refusingClose(url, []), ["", 4429, { reason: "RATE_LIMITED", retry_after: 7 }]);
  reasons.shift();
  assert.deepEqual(await refusingClose(url, []), ["", 4429, { reason: "REFUSED" }]);
});

test("with refusals: close, what is no handshake is still refused by a response, and frames behind it are not read", async t => {
  const { port, url } = await serve(t, { settings: { ...authenticated.settings, closesRefused: true } });
  const old = await refusal(url, [], { protocolVersion: 8 });
  assert.deepEqual([old.status, old.body.reason], [426, "UPGRADE_REQUIRED"]);
  const raw = connect(port, "127.0.0.1");
  // A masked text frame and one that breaks RFC 6455 come with the request.
  const head = `GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${Buffer.alloc(16).toString("base64")}\r\n\r\n`;
  raw.write(
    Buffer.concat([Buffer.from(head), Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x41]), Buffer.alloc(64, 0xff)]),
  );
  const received: Buffer[] = [];
  raw.on("data", chunk => received.push(chunk)).on("error", () => {});
  await once(raw, "close");
  assert.match(Buffer.concat(received).toString("latin1"), /^HTTP\/1\.1 101 /);
});

test("an upgrade whose client leaves during the decision releases everything", async t => {
  let answer: (identity: Identity) => void = () => {};
  let asked = 0;
  const { port, realtime, metric, open } = await serve(t, {
    settings: {
      authenticator: caller => {
        asked++;
        if (caller.query === "now") return identityOf("now");
        return new Promise<Identity>(resolve => {
          answer = resolve;
        });
      },
    },
  });
  const socket = connect(port, "127.0.0.1");
  socket.write(
    "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n" +
      "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
  );
  await until(() => asked === 1);
  assert.equal(realtime.permits.held, 1);
  socket.resetAndDestroy();
  await once(socket, "close");
  await open({ path: "/ws?now" });
  answer(identityOf("gone"));
  await until(() => realtime.permits.held === 1);
  assert.equal(await metric('protogate_ws_upgrades_total{result="aborted"}'), 1);
  assert.equal(realtime.local.open.size, 1);
});

test("a socket that was decided on later stays open, whatever its memory was used for before", async t => {
  const { open, url, empty } = await serve(t, {
    settings: { authenticator: async caller => authenticator(bound(caller)) },
  });
  for (let i = 0; i < 100; i++) {
    // Connections that end with their reply leave that behind in memory which the next one gets.
    assert.equal((await refusal(url)).status, 500);
    const client = await open({ protocols: ["bearer", "dora"] });
    await client.settled();
    client.socket.close();
    assert.equal((await client.closed).code, 1005);
  }
  await empty();
});

test("an asynchronous authenticator lets in and refuses", async t => {
  const { open, url } = await serve(t, {
    settings: { authenticator: async caller => authenticator(bound(caller)) },
  });
  const client = await open({ protocols: ["bearer", "dora"] });
  await client.ask({ type: "join-room", room_id: "x", id: 1 });
  assert.equal((await refusal(url)).status, 500);
});

test("a permit of a limit is held while the socket is open", async t => {
  let held = 0;
  const { open, empty } = await serve(t, {
    settings: {
      limiters: [
        {
          needsSubject: false,
          admit: () => {
            held++;
            return { headers: [], release: () => held-- };
          },
        },
      ],
    },
  });
  const client = await open();
  assert.equal(held, 1);
  client.socket.close();
  await client.closed;
  await empty();
  assert.equal(held, 0);
});

test("limits that do not need the caller are decided before authentication, the others afterwards", async t => {
  const asked: string[] = [];
  const held = new Set<string>();
  const limiter = (name: string, needsSubject: boolean, full: () => boolean): Limiter => ({
    needsSubject,
    admit: (_, subject) => {
      asked.push(`${name} ${subject}`);
      if (full()) throw new GatewayError(gatewayFailure("RATE_LIMITED", "too many", [], { retryAfter: 3 }));
      held.add(name);
      return { headers: [], release: () => held.delete(name) };
    },
  });
  let full = "";
  const { url, open, empty } = await serve(t, {
    settings: {
      authenticator: caller => {
        asked.push("who");
        return authenticator(bound(caller));
      },
      limiters: [
        limiter("subject", true, () => full === "subject"),
        limiter("ip", false, () => full === "ip"),
      ],
    },
  });
  const client = await open({ protocols: ["bearer", "ada"] });
  assert.deepEqual(asked.splice(0), ["ip undefined", "who", "subject ada"]);
  client.socket.close();
  await client.closed;
  await empty();
  assert.equal(held.size, 0);
  full = "ip";
  assert.equal((await refusal(url, ["bearer", "ada"])).headers["retry-after"], "3");
  assert.deepEqual(asked.splice(0), ["ip undefined"]);
  full = "subject";
  assert.equal((await refusal(url, ["bearer", "ada"])).status, 429);
  full = "";
  assert.equal((await refusal(url, ["bearer", "nobody"])).status, 403);
  assert.equal(held.size, 0);
});

test("a room policy decides who joins and who sends, and its refusals are error frames", async t => {
  const { open } = await serve(t, {
    settings: {
      ...authenticated.settings,
      roomPolicy: {
        allows: () => true,
        require: (identity, room) => {
          if (room !== `private-${identity?.subject}`)
            throw new GatewayError(gatewayFailure("POLICY_DENIED", "not your room"));
        },
      },
    },
  });
  const client = await open({ protocols: ["bearer", "ada"] });
  assert.equal((await client.ask({ type: "join-room", room_id: "private-ada", id: 1 })).type, "ack");
  assert.equal(
    (await client.ask({ type: "join-room", room_id: "private-bob", id: 2 })).reason,
    "POLICY_DENIED",
  );
});

test("the handshake must be of version 13", async t => {
  const { port } = await serve(t);
  const socket = connect(port, "127.0.0.1");
  socket.write(
    "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 8\r\n" +
      "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
  );
  const [answer] = (await once(socket, "data")) as [Buffer];
  assert.match(
    answer.toString(),
    /^HTTP\/1\.1 426 Upgrade Required\r\n(.*\r\n)*sec-websocket-version: 13\r\n/i,
  );
  socket.destroy();
});
