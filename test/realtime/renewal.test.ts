import assert from "node:assert/strict";
import { test } from "node:test";
import type { Caller } from "../../src/auth/caller.js";
import type { Identity } from "../../src/auth/identity.js";
import { gatewayError } from "../../src/status/failure.js";
import { type Json, serve } from "./harness.js";

/** Tokens are `subject.room.end`, with the room that they allow and when they end. */
function identityOf(caller: Caller): Identity {
  const token = caller.header("authorization")?.slice("Bearer ".length) ?? "";
  const [subject = "", room = "", end = ""] = token.split(".");
  if (subject === "bad") throw gatewayError("CREDENTIALS_INVALID", "the credentials are not accepted");
  const expiresAt = end === "" ? undefined : Number(end);
  return { provider: "test", subject, scopes: new Set(), claims: { room }, metadata: [], expiresAt };
}

const roomPolicy = {
  allows: (identity: Identity | undefined, room: string) => identity?.claims.room === room,
  require(identity: Identity | undefined, room: string): void {
    if (!this.allows(identity, room)) throw gatewayError("POLICY_DENIED", "denied");
  },
};

const refresh = (token: string): Json => ({ type: "refresh", token, id: "refresh" });

for (const slow of [false, true]) {
  const how = slow ? "where the provider must be asked" : "at once";
  const authenticator = (caller: Caller) => {
    const answer = () => identityOf(caller);
    return slow ? new Promise<void>(resolve => setImmediate(resolve)).then(answer) : answer();
  };

  test(`the claims of a new token hold on the open socket, ${how}`, async t => {
    const { open } = await serve(t, { settings: { authenticator, roomPolicy } });
    const client = await open({ protocols: ["bearer", "ann.x."] });
    await client.join("x", "ann");
    assert.equal((await client.ask({ type: "join-room", room_id: "y", id: 1 })).reason, "POLICY_DENIED");
    assert.deepEqual(await client.ask(refresh("ann.y.")), { type: "ack", id: "refresh" });
    assert.equal((await client.ask({ type: "join-room", room_id: "y", id: 2 })).type, "ack");
    assert.deepEqual(await client.next("left"), { type: "left", room_id: "x", reason: "POLICY_DENIED" });
    const sent = await client.ask({ type: "send-message", room_id: "x", message: "late", id: 3 });
    assert.equal(sent.reason, "NOT_A_MEMBER");
  });

  test(`a token of another subject or one that is not accepted is refused, and the socket keeps its identity, ${how}`, async t => {
    const { open } = await serve(t, { settings: { authenticator, roomPolicy } });
    const client = await open({ protocols: ["bearer", "ann.x."] });
    for (const token of ["bob.x.", "bad"]) {
      const { type, reason } = await client.ask(refresh(token));
      assert.deepEqual([type, reason], ["error", "CREDENTIALS_INVALID"]);
    }
    assert.equal((await client.ask({ type: "join-room", room_id: "x", id: 1 })).type, "ack");
    const { reason } = await client.ask({ type: "refresh", token: "two words", id: 2 });
    assert.equal(reason, "INVALID_VALUE");
  });
}

test("a client is notified before its token ends, and stays with a new one", async t => {
  t.mock.timers.enable({ apis: ["setInterval", "Date"], now: 1_000_000 });
  const { open } = await serve(t, { settings: { authenticator: identityOf } });
  const client = await open({ protocols: ["bearer", "ann.x.1060000"] });
  t.mock.timers.tick(29_000);
  await client.settled();
  t.mock.timers.tick(1000);
  assert.deepEqual(await client.next(), { type: "expiring", expires_in: 30 });
  t.mock.timers.tick(1000);
  assert.equal((await client.ask(refresh("ann.x.1200000"))).type, "ack");
  t.mock.timers.tick(60_000);
  await client.settled();
  assert.deepEqual(client.frames, []);
  t.mock.timers.tick(110_000);
  assert.equal((await client.closed).code, 4401);
});

test("policies on the path of the sockets hold for a new token, too", async t => {
  const authorizer = {
    policies: ["test"],
    usesPath: true,
    before(identity: Identity | undefined, segments: readonly string[]): void {
      if (identity?.claims.room !== segments[0]) throw gatewayError("POLICY_DENIED", "denied");
    },
    after: undefined,
  };
  const { open } = await serve(t, { settings: { authenticator: identityOf, authorizer } });
  const client = await open({ protocols: ["bearer", "ann.ws."] });
  assert.equal((await client.ask(refresh("ann.other."))).reason, "POLICY_DENIED");
});

test("a token is refused where sockets are opened without authentication", async t => {
  const { open } = await serve(t);
  const client = await open();
  assert.equal((await client.ask(refresh("any"))).reason, "INVALID_VALUE");
});
