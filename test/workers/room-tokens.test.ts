import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { WebSocket } from "ws";
import { signShared } from "../auth/tokens.js";
import { uwsSkipped } from "../engine.js";
import { Client } from "../realtime/harness.js";
import { get, type Served, serve } from "./served.js";

const [first, second] = ["the first", "the second"].map(
  each => `${each} secret of tokens for rooms, long enough`,
) as [string, string];

describe("rooms of two workers that need a token", { skip: await uwsSkipped() }, () => {
  let served: Served;
  let url: string;
  let admin: string;
  const clients: Client[] = [];
  const yaml = (secret: string): string => `
listeners: { http: { address: 127.0.0.1:0 }, realtime: { address: 127.0.0.1:0 }, admin: { address: 127.0.0.1:0 } }
upstreams: { echo: { targets: ["127.0.0.1:1"] } }
services: [{ service: test.v1.Echo, upstream: echo }]
auth: { providers: { rooms: { type: jwt, secret: "${secret}", algorithms: [HS256] } } }
realtime: { auth: none, rooms: [{ match: "dm-*", token: { provider: rooms, claim: room } }] }
server: { workers: 2, drain: 1s }`;

  before(async () => {
    served = serve(yaml(first));
    const ready = await served.logged(({ msg }) => msg === "ready");
    url = `ws://127.0.0.1:${ready.realtime}/ws`;
    admin = `http://127.0.0.1:${ready.admin}`;
  });
  after(async () => {
    for (const { socket } of clients) socket.terminate();
    await served.close();
  });

  /** A client on each worker: the system deals connections out by chance. */
  const openOnBoth = async (): Promise<[Client, Client]> => {
    const found = new Map<unknown, Client>();
    while (found.size < 2) {
      const id = `socket-${clients.length}`;
      const client = new Client(new WebSocket(url, { headers: { "x-request-id": id } }));
      clients.push(client);
      await client.opened;
      const { worker } = await served.logged(line => line.request_id === id);
      if (found.has(worker)) client.socket.terminate();
      else found.set(worker, client);
    }
    return [...found.values()] as [Client, Client];
  };
  const joined = async (client: Client, secret: string, sub: string): Promise<unknown> => {
    const token = await signShared(secret, { sub, room: "dm-1" });
    const { type, reason } = await client.ask({ type: "join-room", room_id: "dm-1", id: sub, token });
    return reason ?? type;
  };

  it("each worker verifies tokens, bans hold on both, and so does a reload with other keys", async () => {
    const [one, two] = await openOnBoth();
    assert.deepEqual([await joined(one, first, "ann"), await joined(two, first, "bob")], ["ack", "ack"]);
    one.say({ type: "send-message", room_id: "dm-1", message: "hello" });
    assert.equal((await two.next("receive-message")).message, "hello");

    const ban = JSON.stringify({ subject: "ann", room: "dm-1", ban_seconds: 60 });
    const response = await fetch(`${admin}/realtime/unsubscribe`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: ban,
    });
    assert.equal(response.status, 200, await response.text());
    await one.next("left");
    const [third, fourth] = await openOnBoth();
    assert.deepEqual(
      [await joined(third, first, "ann"), await joined(fourth, first, "ann")],
      ["BANNED", "BANNED"],
    );

    served.write(yaml(second));
    assert.equal((await get(`${admin}/reload`, "POST")).status, 200);
    for (const client of [third, fourth]) {
      assert.equal(await joined(client, first, "carol"), "CREDENTIALS_INVALID");
      assert.equal(await joined(client, second, "carol"), "ack");
    }
    two.say({ type: "send-message", room_id: "dm-1", message: "still a member" });
    assert.equal((await third.next("receive-message")).message, "still a member");
  });
});
