import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { WebSocket } from "ws";
import { uwsSkipped } from "../engine.js";
import { Client, type Json } from "../realtime/harness.js";
import { get, type Served, serve } from "./served.js";

const skip = await uwsSkipped();

describe("rooms of two workers", { skip }, () => {
  let served: Served;
  let url: string;
  let admin: string;
  const clients: Client[] = [];
  const yaml = (rest = ""): string => `
listeners: { http: { address: 127.0.0.1:0 }, realtime: { address: 127.0.0.1:0 }, admin: { address: 127.0.0.1:0 } }
upstreams: { echo: { targets: ["127.0.0.1:1"] } }
services: [{ service: test.v1.Echo, upstream: echo }]
realtime: { auth: none, origins: ["*"]${rest} }
server: { workers: 2, drain: 1s }`;

  /** A socket with the number of the worker that has it. */
  const open = async (): Promise<{ readonly client: Client; readonly worker: unknown }> => {
    const id = `socket-${clients.length}`;
    const client = new Client(new WebSocket(url, { headers: { "x-request-id": id } }));
    clients.push(client);
    await client.opened;
    const { worker } = await served.logged(line => line.request_id === id);
    return { client, worker };
  };
  /** A client on each worker: the system deals connections out by chance. */
  const openOnBoth = async (): Promise<Map<unknown, Client>> => {
    const found = new Map<unknown, Client>();
    while (found.size < 2) {
      const { client, worker } = await open();
      if (found.has(worker)) client.socket.terminate();
      else found.set(worker, client);
    }
    return found;
  };

  before(async () => {
    served = serve(yaml());
    const ready = await served.logged(({ msg }) => msg === "ready");
    url = `ws://127.0.0.1:${ready.realtime}/ws`;
    admin = `http://127.0.0.1:${ready.admin}`;
  });
  after(async () => {
    for (const { socket } of clients) socket.terminate();
    await served.close();
  });

  it("members on both get the same messages in one order, through a reload and the end of a worker, whose members leave once", async () => {
    const both = await openOnBoth();
    const [stays, dies] = [both.get(1), both.get(2)] as [Client, Client];
    const { epoch } = await stays.join("general", "Will Hall");
    await dies.join("general", "Ada");
    assert.equal((await stays.next("join-room")).from, "Ada");
    const send = (client: Client, message: string) =>
      client.say({ type: "send-message", room_id: "general", message });
    const messages = async (client: Client, count: number): Promise<Json[]> => {
      const got: Json[] = [];
      while (got.length < count) got.push(await client.next("receive-message"));
      return got;
    };
    for (let index = 0; index < 20; index++) send(index % 2 === 0 ? stays : dies, `m${index}`);
    const [one, two] = await Promise.all([messages(stays, 20), messages(dies, 20)]);
    assert.deepEqual(one, two);
    assert.deepEqual(
      one.map(({ seq, epoch: of }) => [seq, of]),
      Array.from({ length: 20 }, (_, index) => [index + 1, epoch]),
    );
    assert.equal((await stays.ask({ type: "presence", room_id: "general", id: 1 })).count, 2);

    served.write(yaml(", limits: { burst: 100 }"));
    assert.equal((await get(`${admin}/reload`, "POST")).status, 200);
    send(dies, "after the reload");
    assert.deepEqual(
      (await Promise.all([messages(stays, 1), messages(dies, 1)])).flat().map(({ seq }) => seq),
      [21, 21],
    );

    const { workers } = JSON.parse((await get(`${admin}/config`)).text);
    const { pid } = workers.find(({ worker }: { worker: number }) => worker === 2);
    process.kill(pid, "SIGKILL");
    assert.deepEqual(await stays.next(), { type: "leave-room", room_id: "general", from: "Ada" });
    send(stays, "while one is away");
    await messages(stays, 1);
    await served.logged(({ msg }) => msg === "another worker serves in place of the one that ended");
    let again = await open();
    while (again.worker !== 2) again = await open();
    const joined = await again.client.join("general", "Ada", { since: { epoch, seq: 21 } });
    assert.equal(joined.recovered, true);
    assert.deepEqual(
      (await messages(again.client, 1)).map(({ message, seq }) => [message, seq]),
      [["while one is away", 22]],
    );
    assert.equal((await stays.next()).type, "join-room");
    assert.deepEqual(stays.frames, []);
  });
});
