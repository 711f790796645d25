import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import { after, before, describe, it } from "node:test";
import { AccessToken } from "livekit-server-sdk";
import { WebSocket } from "ws";
import { uwsSkipped } from "../engine.js";
import { Client } from "../realtime/harness.js";
import { get, type Served, serve } from "./served.js";

const secret = "a secret of at least thirty-two characters";
const skipUws = await uwsSkipped();

/** Sockets come by the HTTP listener. */
for (const engine of ["fastify", "uws"] as const) {
  describe(`counts that two workers on the engine ${engine} share`, {
    skip: engine === "uws" && skipUws,
  }, () => {
    let served: Served;
    let port: number;
    let admin: string;
    let sockets: { readonly socket: WebSocket; readonly worker: unknown }[] = [];
    let requests = 0;
    const max = 6;
    const yaml = (connections: number): string => `
listeners: { http: { address: 127.0.0.1:0, engine: ${engine} }, admin: { address: 127.0.0.1:0 } }
upstreams: { echo: { targets: ["127.0.0.1:1"] } }
services: [{ service: test.v1.Echo, upstream: echo }]
realtime: { path: /ws, auth: none, origins: ["*"], limits: { connections: ${connections} } }
livekit: { url: "ws://127.0.0.1:1", api_key: key, api_secret: "${secret}", webhook: { path: /hook, publish: { room: all } } }
server: { workers: 2, drain: 1s }`;

    /** @returns the status of a refusal; 0 where the connection ended without */
    const open = async (): Promise<number> => {
      const id = `socket-${++requests}`;
      const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers: { "x-request-id": id } });
      const status = await new Promise<number>(resolve => {
        socket.once("open", () => resolve(101));
        socket.once("unexpected-response", (_request, response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        socket.on("error", () => resolve(0));
      });
      if (status !== 101) socket.terminate();
      else sockets.push({ socket, worker: (await served.logged(line => line.request_id === id)).worker });
      return status;
    };
    /** At the limit a worker may refuse while what the other gives back is on its way. */
    const fill = async (count: number): Promise<void> => {
      for (let tried = 0; sockets.length < count; tried++) {
        assert.ok(tried < 10_000, `${sockets.length} of ${count} sockets can be opened`);
        await open();
      }
    };
    const refused = async (): Promise<void> => {
      const tried = await Promise.all(Array.from({ length: 30 }, open));
      assert.deepEqual([...new Set(tried)], [503]);
    };
    const end = async (): Promise<void> => {
      await Promise.all(
        sockets.map(({ socket }) => {
          socket.terminate();
          return socket.readyState === socket.CLOSED || once(socket, "close");
        }),
      );
      sockets = [];
    };
    /** Kills a worker and waits for the one in its place. */
    const replace = async (worker: unknown): Promise<void> => {
      const { workers } = JSON.parse((await get(`${admin}/config`)).text);
      const { pid } = workers.find((each: { worker: unknown }) => each.worker === worker);
      const isNews = (line: Readonly<Record<string, unknown>>): boolean =>
        /^another worker serves/.test(String(line.msg));
      const known = served.log.filter(isNews).length;
      process.kill(pid, "SIGKILL");
      await served.logged(
        line => isNews(line) && served.log.filter(isNews).length > known && line.worker === worker,
      );
    };

    before(async () => {
      served = serve(yaml(max));
      const ready = await served.logged(({ msg }) => msg === "ready");
      port = Number(ready.http);
      admin = `http://127.0.0.1:${ready.admin}`;
    });
    after(async () => {
      await end();
      await served.close();
    });

    it("no more sockets are open than the limit of connections allows, and those of a killed worker can be opened again", async () => {
      while (new Set(sockets.map(({ worker }) => worker)).size < 2) {
        await end();
        await fill(max);
      }
      await refused();
      const theirs = sockets.filter(({ worker }) => worker === 1);
      const closed = theirs.map(({ socket }) => once(socket, "close"));
      await replace(1);
      await Promise.all(closed);
      sockets = sockets.filter(({ worker }) => worker !== 1);
      assert.equal(sockets.length, max - theirs.length);
      await fill(max);
      await refused();
      assert.ok(sockets.every(({ socket }) => socket.readyState === socket.OPEN));

      served.write(yaml(max - 2));
      assert.equal((await get(`${admin}/reload`, "POST")).status, 200);
      await refused();
      await end();
      await fill(max - 2);
      await refused();
      await end();
    });

    it("an event of LiveKit that is sent again is delivered once, whichever worker gets it and whichever is killed", async () => {
      // Sockets that have just ended may still count.
      served.write(yaml(2 * max));
      assert.equal((await get(`${admin}/reload`, "POST")).status, 200);
      const client = new Client(
        new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers: { "x-request-id": "member" } }),
      );
      await client.opened;
      await client.join("all", "Ann");
      const send = async (id: string): Promise<number> => {
        const body = JSON.stringify({ event: "room_started", id, room: { name: "r" } });
        const token = new AccessToken("key", secret);
        token.sha256 = createHash("sha256").update(body).digest("base64");
        const authorization = await token.toJwt();
        const headers = { "content-type": "application/webhook+json", authorization };
        const outgoing = request({ port, path: "/hook", method: "POST", agent: false, headers });
        outgoing.end(body);
        const [response] = await once(outgoing, "response");
        response.resume();
        return response.statusCode;
      };
      const sendOften = async (id: string): Promise<void> => {
        const statuses = await Promise.all(Array.from({ length: 20 }, () => send(id)));
        assert.deepEqual([...new Set(statuses)], [200]);
      };
      const nextId = async (): Promise<unknown> =>
        JSON.parse(String((await client.next("receive-message")).message)).id;
      await sendOften("EV_1");
      assert.equal(await nextId(), "EV_1");
      const { worker } = await served.logged(line => line.request_id === "member");
      await replace(worker === 1 ? 2 : 1);
      await sendOften("EV_1");
      await sendOften("EV_2");
      assert.equal(await nextId(), "EV_2");
      client.socket.terminate();
    });
  });
}
