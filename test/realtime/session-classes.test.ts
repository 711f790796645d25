import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Identity } from "../../src/auth/identity.js";
import type { Broker } from "../../src/realtime/brokers/broker.js";
import { classOf, type SessionRule } from "../../src/realtime/rooms/session-classes.js";
import { Primary } from "./brokers/primary.js";
import { type Client, serve, type TestServer } from "./harness.js";

const history = { messages: 100, ttl: 60_000, maxBytes: 1 << 20 };

function identityOf(subject: string, platform: number): Identity {
  const claims = { PlatformID: platform };
  return { provider: "test", subject, scopes: new Set(), claims, metadata: [], expiresAt: undefined };
}

/** A server whose clients are who their headers say. */
async function start(t: TestContext, rules: readonly SessionRule[], broker?: Broker) {
  const served = await serve(t, {
    settings: {
      sessions: rules,
      authenticator: caller => identityOf(caller.header("x-user") ?? "", Number(caller.header("x-platform"))),
    },
    ...(broker === undefined ? {} : { broker }),
  });
  const open = (user: string, platform: number): Promise<Client> =>
    served.open({ headers: { "x-user": user, "x-platform": String(platform) } });
  return { ...served, open } satisfies Omit<TestServer, "open"> & { open: unknown };
}

const onePerPlatform: SessionRule = { key: "claim.PlatformID", max: 1, over: "kick_oldest" };

test("a user's new socket takes the place of the oldest on the same platform, which gets 4409 SESSION_REPLACED", async t => {
  const { open, realtime } = await start(t, [onePerPlatform]);
  const phone = await open("ann", 1);
  const desktop = await open("ann", 3);
  const other = await open("bob", 1);
  const again = await open("ann", 1);
  assert.deepEqual(await phone.closed, { code: 4409, reason: '{"reason":"SESSION_REPLACED"}' });
  for (const client of [desktop, other, again]) await client.settled();
  assert.equal(realtime.local.open.size, 3);
});

test("a user's socket above the limit of sessions is closed where the policy is refuse, until another has gone", async t => {
  const { open, realtime } = await start(t, [{ key: "subject", max: 2, over: "refuse" }]);
  const [one, two] = [await open("ann", 1), await open("ann", 2)];
  const three = await open("ann", 3);
  assert.deepEqual(await three.closed, { code: 4429, reason: '{"reason":"TOO_MANY_SESSIONS"}' });
  await two.settled();
  one.socket.terminate();
  while (realtime.local.open.size > 1) await new Promise(resolve => setImmediate(resolve));
  await (await open("ann", 3)).settled();
});

test("sessions of several nodes are one user's, whatever their clocks say", async t => {
  const primary = new Primary(history);
  const [a, b] = [primary.fork(history).broker, primary.fork(history).broker];
  t.after(() => primary.rooms.close());
  const one = await start(t, [onePerPlatform], a);
  const two = await start(t, [onePerPlatform], b);
  const first = await one.open("ann", 1);
  const name = classOf(onePerPlatform, identityOf("ann", 1)) ?? "";
  while ((await a.presence.members(name)).length < 1) await new Promise(resolve => setImmediate(resolve));
  const now = Date.now();
  // The other node's clock is behind: its socket is the newer one all the same.
  t.mock.method(Date, "now", () => now - 90_000);
  const second = await two.open("ann", 1);
  assert.equal((await first.closed).code, 4409);
  await second.settled();
  while ((await a.presence.members(name)).length > 1) await new Promise(resolve => setImmediate(resolve));
  const third = await one.open("ann", 1);
  assert.equal((await second.closed).code, 4409);
  await third.settled();
});
