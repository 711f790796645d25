import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { SignJWT } from "jose";
import { WebSocket } from "ws";
import { send, startTestGateway, type TestGateway } from "../gateway/harness.js";
import { freePorts, untilAccepts } from "../ports.js";
import { apiKey, apiSecret, sample } from "./system.js";

const program = process.env.LIVEKIT_SERVER;
const skip = program === undefined ? "LIVEKIT_SERVER does not name a binary of livekit-server" : undefined;
const userSecret = "another secret of at least thirty-two characters";
const room = "stand-up/1";

describe("a real LiveKit server", { skip }, () => {
  let gateway: TestGateway;
  let server: string;
  let stop: () => Promise<unknown>;

  before(async () => {
    const [port = 0, tcp = 0, udp = 0] = await freePorts(3);
    server = `ws://127.0.0.1:${port}`;
    gateway = await startTestGateway(
      `
auth:
  default: [users]
  providers:
    users: { type: jwt, secret: "${userSecret}", algorithms: [HS256] }
livekit:
  url: ${server}
  api_key: ${apiKey}
  api_secret: ${apiSecret}
  ttl: 2m
  grants: { participant: { roomJoin: true, canPublish: true, canSubscribe: true } }
  routes: [{ post: /token, room: body.room, identity: subject, grant: participant }]
  actions:
    - { post: "/rooms/{room}/recordings", room: path.room, call: StartRoomCompositeEgress, fields: { "file_outputs[0].filepath": literal.a.mp4 } }
  webhook: { path: /livekit/webhook }
telemetry: { log: { level: info } }
`,
      {},
    );
    const config = JSON.stringify({
      port,
      bind_addresses: ["127.0.0.1"],
      rtc: { tcp_port: tcp, udp_port: udp, use_external_ip: false },
      keys: { [apiKey]: apiSecret },
      webhook: { api_key: apiKey, urls: [`${gateway.url}/livekit/webhook`] },
      logging: { level: "error" },
    });
    const child = spawn(program ?? "", ["--config-body", config, "--node-ip", "127.0.0.1"], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const exited = once(child, "exit");
    stop = () => {
      child.kill("SIGKILL");
      return exited;
    };
    await untilAccepts(port, exited);
  });
  after(async () => {
    await stop?.();
    await gateway?.close();
  });

  it("a real LiveKit server lets in a participant with a token of the gateway, whose webhook arrives, and the list has the participant", async () => {
    const { token, serverUrl } = await tokenFor("alice");
    assert.equal(serverUrl, server);
    const alice = await join(token);
    await webhook("room_started");
    assert.deepEqual(await participants(), ["alice"]);
    alice.terminate();
  });

  it("a real LiveKit server refuses a token that is signed with another secret", async () => {
    const forged = await new SignJWT({ video: { room, roomJoin: true } })
      .setProtectedHeader({ alg: "HS256" })
      .setIssuer(apiKey)
      .setSubject("mallory")
      .setExpirationTime("2m")
      .sign(new TextEncoder().encode(userSecret));
    await assert.rejects(join(forged), /401/);
  });

  it("a removed participant is disconnected and gets no new token, while the old one stays valid, as the documentation says", async () => {
    const { token } = await tokenFor("bob");
    const first = await join(token);
    const closed = once(first, "close");
    const path = `${gateway.admin}/livekit/rooms/${encodeURIComponent(room)}/participants/bob`;
    const removal = await send(path, { method: "DELETE" });
    assert.equal(removal.status, 204, removal.text);
    await closed;
    assert.ok(!(await participants()).includes("bob"));

    const refused = await ask("bob");
    assert.deepEqual([refused.status, refused.json.reason], [403, "PARTICIPANT_REMOVED"]);
    const again = await join(token);
    again.terminate();
  });

  it("the removal of an absent participant at a real LiveKit server gets 404", async () => {
    const path = `${gateway.admin}/livekit/rooms/${encodeURIComponent(room)}/participants/nobody`;
    const answer = await send(path, { method: "DELETE" });
    assert.deepEqual([answer.status, answer.json.reason], [404, "NOT_FOUND"]);
  });

  it("rooms of a real LiveKit server are created with their settings, listed, reached by data and ended", async () => {
    const rooms = `${gateway.admin}/livekit/rooms`;
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ name: "hall", empty_timeout: 600, max_participants: 3, metadata: "m" });
    const created = await send(rooms, { method: "POST", headers, body });
    assert.deepEqual([created.status, created.json.max_participants], [200, 3], created.text);
    const listed = (await send(rooms)).json.rooms.map(({ name }: { name: string }) => name);
    assert.ok(listed.includes("hall"));
    const data = JSON.stringify({ data: "hello" });
    assert.equal((await send(`${rooms}/hall/data`, { method: "POST", headers, body: data })).status, 204);
    const ended = await send(`${rooms}/hall`, { method: "DELETE" });
    assert.equal(ended.status, 204, ended.text);
    await webhook("room_finished");
    const after = (await send(rooms)).json.rooms.map(({ name }: { name: string }) => name);
    assert.ok(!after.includes("hall"));
  });

  it("muting on a real LiveKit server says that a participant is not there, or what it publishes", async () => {
    const path = (name: string) =>
      `${gateway.admin}/livekit/rooms/${encodeURIComponent(room)}/participants/${name}/mute`;
    const nobody = await send(path("nobody"), { method: "POST" });
    assert.deepEqual([nobody.status, nobody.json.reason], [404, "NOT_FOUND"]);
    const { token } = await tokenFor("carol");
    const carol = await join(token);
    const silent = await send(path("carol"), { method: "POST" });
    assert.deepEqual([silent.status, silent.json], [200, { tracks: [] }]);
    carol.terminate();
  });

  it("a recording on a real LiveKit server without an egress service fails, and the gateway says that it is LiveKit", async () => {
    const path = `${gateway.url}/rooms/${encodeURIComponent(room)}/recordings`;
    const refused = await send(path, { method: "POST", headers: await login("ann") });
    assert.ok(refused.status >= 500, refused.text);
    assert.match(refused.json.message, /LiveKit|egress/);
  });

  async function login(subject: string) {
    const token = await new SignJWT({ sub: subject })
      .setProtectedHeader({ alg: "HS256" })
      .setExpirationTime("5m")
      .sign(new TextEncoder().encode(userSecret));
    return { authorization: `Bearer ${token}` };
  }

  async function ask(subject: string) {
    return send(`${gateway.url}/token`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(await login(subject)) },
      body: JSON.stringify({ room }),
    });
  }

  async function tokenFor(subject: string): Promise<{ token: string; serverUrl: string }> {
    const answer = await ask(subject);
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
  }

  /** Joins as far as signalling: media would need WebRTC. @throws Error with the status where the server refuses */
  async function join(token: string): Promise<WebSocket> {
    const socket = new WebSocket(`${server}/rtc?protocol=15&auto_subscribe=1&access_token=${token}`);
    const [message, binary] = await once(socket, "message");
    assert.ok(binary && message.length > 100, "the room and its participants");
    return socket;
  }

  async function participants(): Promise<string[]> {
    const answer = await send(`${gateway.admin}/livekit/rooms/${encodeURIComponent(room)}/participants`);
    assert.equal(answer.status, 200, answer.text);
    return answer.json.participants.map(({ identity }: { identity: string }) => identity);
  }

  async function webhook(event: string): Promise<void> {
    await gateway.logged(({ route, status }) => route === "/livekit/webhook" && status === 200);
    const metrics = (await send(`${gateway.admin}/metrics`)).text;
    assert.equal(sample(metrics, `protogate_livekit_webhooks_total{event="${event}",result="accepted"}`), 1);
  }
});
