import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { WebSocket } from "ws";
import { signShared } from "../auth/tokens.js";
import { engineUnderTest } from "../engine.js";
import { Client, type Json } from "../realtime/harness.js";
import { send, startTestGateway } from "./harness.js";

const first = "the first secret of tokens for rooms, long enough";
const second = "the second secret of tokens for rooms, long enough";

/** @param provider with the secret; undefined: none, and no rule that needs one */
function yamlOf(secret: string | undefined, rule = "{ provider: rooms, claim: room }"): string {
  const token = secret === undefined ? "" : `, token: ${rule}`;
  const providers =
    secret === undefined
      ? ""
      : `auth: { providers: { rooms: { type: jwt, secret: "${secret}", algorithms: [HS256] } } }\n`;
  return `${providers}realtime: { path: /ws, auth: none, rooms: [{ match: "dm-*"${token} }, { match: "*" }] }\n`;
}

const join = (token: string | undefined, more: Json = {}): Json => ({
  type: "join-room",
  room_id: "dm-1",
  id: "join",
  ...(token !== undefined && { token }),
  ...more,
});

describe(`tokens for rooms over reloads (${engineUnderTest()})`, () => {
  test("members stay when a reload replaces the keys of their tokens, and join again with new ones alone", async t => {
    const gateway = await startTestGateway(yamlOf(first), {});
    const clients: Client[] = [];
    t.after(async () => {
      for (const { socket } of clients) socket.terminate();
      await gateway.close();
    });
    const open = async (): Promise<Client> => {
      const client = new Client(new WebSocket(`${gateway.url.replace("http", "ws")}/ws`));
      clients.push(client);
      await client.opened;
      return client;
    };
    const token = (secret: string, sub: string, exp?: number) =>
      signShared(secret, { sub, room: "dm-1", ...(exp !== undefined && { exp }) });
    const hears = async (from: Client, to: Client, text: string): Promise<void> => {
      from.say({ type: "send-message", room_id: "dm-1", message: text });
      assert.equal((await to.next("receive-message")).message, text);
    };
    const load = async (yaml: string): Promise<string | undefined> => {
      const before = gateway.log.length;
      gateway.write("gateway.yaml", yaml);
      await gateway.reload();
      const failed = gateway.log.slice(before).find(({ level }) => level === "error");
      return failed === undefined ? undefined : JSON.stringify(failed);
    };

    const [ann, bob] = [await open(), await open()];
    assert.equal((await ann.ask(join(await token(first, "ann")))).type, "ack");
    assert.equal((await bob.ask(join(await token(first, "bob")))).type, "ack");

    assert.equal(await load(yamlOf(second)), undefined);
    await hears(ann, bob, "the keys are others");
    assert.equal((await ann.ask(join(await token(first, "ann")))).reason, "CREDENTIALS_INVALID");
    await hears(ann, bob, "a refused token changes nothing");
    // A token of the new key takes the place of the old one, and ends.
    const soon = Math.floor(Date.now() / 1000) + 2;
    assert.equal((await ann.ask(join(await token(second, "ann", soon)))).type, "ack");
    assert.equal((await ann.next("left")).reason, "TOKEN_EXPIRED");
    await hears(bob, bob, "the other token is as good as it was");
    assert.equal((await ann.ask(join(undefined))).reason, "CREDENTIALS_MISSING");

    const unknown = await load(yamlOf(second, "{ provider: other, claim: room }"));
    assert.match(unknown ?? "", /there is no provider/);
    await hears(bob, bob, "a configuration with an error changes nothing");

    assert.equal(await load(yamlOf(undefined)), undefined);
    await hears(bob, bob, "without the rule");
    assert.equal((await ann.ask(join(undefined, { from: "ann" }))).type, "ack");
    await hears(ann, bob, "nobody needs a token");

    assert.equal(await load(yamlOf(first)), undefined);
    await hears(ann, bob, "who is a member stays one");
    await ann.ask({ type: "leave-room", room_id: "dm-1", id: "leave" });
    assert.equal((await ann.ask(join(undefined))).reason, "CREDENTIALS_MISSING");
    assert.equal((await ann.ask(join(await token(first, "ann")))).type, "ack");
  });

  test("a name that is banned from a room cannot come back with a token, to this room alone", async t => {
    const gateway = await startTestGateway(yamlOf(first), {});
    const client = new Client(new WebSocket(`${gateway.url.replace("http", "ws")}/ws`));
    t.after(async () => {
      client.socket.terminate();
      await gateway.close();
    });
    await client.opened;
    const claims = { sub: "ann", room: ["dm-1", "dm-2"] };
    assert.equal((await client.ask(join(await signShared(first, claims)))).type, "ack");
    const ban = await send(`${gateway.admin}/realtime/unsubscribe`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ subject: "ann", room: "dm-1", ban_seconds: 60 }),
    });
    assert.deepEqual(ban.json, { sessions: 1 }, ban.text);
    assert.equal((await client.next("left")).room_id, "dm-1");
    const fresh = await signShared(first, { ...claims, jti: "another" });
    const refused = await client.ask(join(fresh));
    assert.equal(refused.reason, "BANNED");
    assert.equal((await client.ask(join(fresh, { room_id: "dm-2" }))).type, "ack");
    assert.equal((await client.ask(join(await signShared(first, { ...claims, sub: "bob" })))).type, "ack");
  });
});
