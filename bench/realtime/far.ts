import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Broker } from "../../src/realtime/brokers/broker.js";
import { createNatsBroker } from "../../src/realtime/brokers/nats-broker.js";
import { createRedisBroker } from "../../src/realtime/brokers/redis-broker.js";
import type { Context, Finding, Group } from "../group.js";
import { siteAlone } from "../stage/servers.js";
import { FarFeeds } from "./far-feed.js";
import { startBroker } from "./subjects.js";

/** Messages under way at once. */
const underWay = 500;
const rooms = 500;
const history = { messages: 100, ttl: 60_000, maxBytes: 64 << 20 };

/** How many messages and joins a gateway makes with a broker that is far away. */
export const farGroup: Group = {
  name: "far",
  onRequest: true,
  method: [
    `One gateway's broker with ${underWay} messages under way, a stream that feeds a room, and 2000 rooms opened at once,`,
    "through a proxy that holds back what passes, each way by half of the round trip.",
  ],
  async *run({ quick, cpus, children, note }: Context): AsyncIterable<Finding> {
    const site = siteAlone(children, cpus.server);
    for (const kind of ["redis", "nats"] as const) {
      if (spawnSync(`${kind}-server`, ["--version"]).error !== undefined) {
        note(`${kind}-server is not installed: skipped`);
        continue;
      }
      const server = await startBroker(site, kind);
      const remarks: string[] = [];
      for (const roundTrip of [0, 20, 40])
        remarks.push(
          `${roundTrip} ms: ${await measure(kind, server.port, roundTrip, quick ? 2000 : 10_000)}`,
        );
      await server.child.stop();
      yield { workload: `${kind}, by round trip`, rows: [], remarks };
    }
  },
};

async function measure(
  kind: "redis" | "nats",
  port: number,
  roundTrip: number,
  count: number,
): Promise<string> {
  const proxy = await startProxy(port, roundTrip / 2);
  const at = (proxy.address() as AddressInfo).port;
  const create = kind === "redis" ? createRedisBroker : createNatsBroker;
  const url = `${kind}://127.0.0.1:${at}`;
  const broker = create({ url, prefix: `far-${roundTrip}`, history, logger: undefined, timeoutMs: 30_000 });
  const feeds = new FarFeeds(broker);
  await broker.start(feeds.hub);
  while (!broker.ready) await new Promise(resolve => setTimeout(resolve, 10));
  await broker.subscribe("one");
  await publish(broker, underWay, () => "one");
  const one = await publish(broker, count, () => "one");
  const many = await publish(broker, count, index => `room ${index % rooms}`);
  const fed = await feeds.publish("fed", count);
  await feeds.close();
  const started = performance.now();
  await Promise.all(Array.from({ length: 2000 }, (_, index) => broker.subscribe(`joined ${index}`)));
  const opened = perSecond(2000, started);
  await broker.close();
  proxy.close();
  return `${one} messages/s to one room, ${many}/s to ${rooms} rooms, ${Math.round((count / fed) * 1000)}/s of one feed, ${opened} rooms opened/s`;
}

async function publish(broker: Broker, count: number, room: (index: number) => string): Promise<number> {
  const frame = '{"type":"receive-message","room_id":"one","from":"jdoe","message":"hello","sent_at":1}';
  const started = performance.now();
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < count) {
      const name = room(next++);
      await broker.publish(name, { frame, kept: true, key: undefined, except: undefined, at: Date.now() });
    }
  };
  await Promise.all(Array.from({ length: underWay }, one));
  return perSecond(count, started);
}

function perSecond(count: number, started: number): number {
  return Math.round((count / (performance.now() - started)) * 1000);
}

async function startProxy(to: number, delayMs: number): Promise<Server> {
  const server = createServer({ noDelay: true }, near => {
    const far = connect({ port: to, host: "127.0.0.1", noDelay: true });
    pass(near, far, delayMs);
    pass(far, near, delayMs);
    for (const socket of [near, far]) {
      socket.on("error", () => undefined);
      socket.on("close", () => {
        near.destroy();
        far.destroy();
      });
    }
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}

/** Timers of one length fire in their order. */
function pass(from: Socket, to: Socket, delayMs: number): void {
  from.on("data", chunk => {
    if (delayMs === 0) to.write(chunk);
    else setTimeout(() => to.write(chunk), delayMs);
  });
}
