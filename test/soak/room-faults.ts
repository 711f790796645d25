import { setTimeout as pause } from "node:timers/promises";
import { Redis } from "ioredis";
import type { Random } from "../fuzz/mutate.js";
import type { TestServer } from "../realtime/brokers/servers.js";
import type { RoomClient } from "./room-client.js";
import type { Gateway, RoomSetup } from "./room-gateway.js";

/** What faults are done to. */
export interface RoomCluster {
  readonly gateways: readonly Gateway[];
  readonly clients: readonly RoomClient[];
  readonly store: TestServer | undefined;
  readonly random: Random;
  /** Gets a description of whatever contradicts the promise. */
  broken(what: string): void;
}

export interface RoomFault {
  readonly name: string;
  /** Rooms may begin a new epoch. */
  readonly endsEpoch?: true;
  /** Resolves once it is over, and everything is there again. */
  run(cluster: RoomCluster): Promise<void>;
}

/** Milliseconds between two looks at what has to come. */
const lookMs = 10;

async function until(reached: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await reached())) await pause(lookMs);
}

/** Resolves once so many more messages of these clients are acknowledged. */
async function progress(clients: readonly RoomClient[], messages: number): Promise<void> {
  const count = (): number => clients.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  const wanted = count() + messages;
  await until(() => count() >= wanted);
}

function pick<T>(list: readonly T[], random: Random): T {
  return list[random(list.length)] as T;
}

/** Clients of one gateway come to others. Returns what brings some of them back, as a load balancer would. */
function moveAway({ gateways, clients, random }: RoomCluster, gateway: Gateway): () => void {
  const moved = clients.filter(client => client.gateway === gateway);
  const others = gateways.filter(each => each !== gateway && each.running);
  for (const client of moved) if (others.length > 0) client.move(pick(others, random));
  return () => {
    for (const client of moved) if (others.length === 0 || random(2) === 0) client.move(gateway);
  };
}

async function readiness({ gateways }: RoomCluster, wanted: boolean): Promise<void> {
  for (const gateway of gateways) await until(async () => (await gateway.ready()) === wanted);
}

/** The store is away until every gateway has noticed it, and is back when they have noticed that. */
async function away(cluster: RoomCluster, cut: () => unknown, mend: () => unknown): Promise<void> {
  await cut();
  await readiness(cluster, false);
  await mend();
  await readiness(cluster, true);
}

const cuts: RoomFault = {
  name: "connections are cut",
  run: async ({ clients, random }) => {
    const chosen = clients.filter(() => random(2) === 0);
    for (const client of chosen) client.cut();
    const others = clients.filter(client => !chosen.includes(client));
    if (others.length > 0) await progress(others, 30);
    for (const client of chosen) client.move(client.gateway);
  },
};

const silences: RoomFault = {
  name: "connections take nothing more, and do not end",
  run: async ({ clients, random }) => {
    const chosen = clients.filter(() => random(3) === 0);
    for (const client of chosen) client.hold();
    await progress(clients, 30);
  },
};

const restarts: RoomFault = {
  name: "a client is started anew",
  run: async ({ clients, random }) => pick(clients, random).restart(),
};

const stop: RoomFault = {
  name: "a gateway is stopped and goes on",
  run: async cluster => {
    const gateway = pick(cluster.gateways, cluster.random);
    const theirs = cluster.clients.filter(client => client.gateway === gateway);
    gateway.signal("SIGSTOP");
    const back = moveAway(cluster, gateway);
    for (const client of theirs) await progress([client], 2);
    gateway.signal("SIGCONT");
    back();
  },
};

const stopWorker: RoomFault = {
  name: "a worker is stopped and goes on",
  run: async ({ gateways: [gateway], clients, random }) => {
    const stopped = pick((await gateway?.workers()) ?? [], random);
    process.kill(stopped, "SIGSTOP");
    // It may have no clients.
    await Promise.race([
      progress(clients, 100),
      Promise.race(clients.map(client => until(() => client.state !== "open"))),
    ]);
    process.kill(stopped, "SIGCONT");
    await progress(clients, 30);
  },
};

const kill: RoomFault = {
  name: "a gateway is killed",
  run: async cluster => {
    const gateway = pick(cluster.gateways, cluster.random);
    await gateway.kill();
    const back = moveAway(cluster, gateway);
    await progress(cluster.clients, 30);
    await gateway.start();
    back();
  },
};

const killWorker: RoomFault = {
  name: "a worker is killed",
  run: async ({ gateways: [gateway], clients, random }) => {
    if (gateway === undefined) return;
    const before = await gateway.workers();
    const killed = pick(before, random);
    process.kill(killed, "SIGKILL");
    await until(async () => {
      const now = await gateway.workers();
      return now.length === before.length && !now.includes(killed);
    });
    await progress(clients, 30);
  },
};

const rolling: RoomFault = {
  name: "gateways are restarted one after the other",
  run: async cluster => {
    for (const gateway of cluster.gateways) {
      const back = moveAway(cluster, gateway);
      const code = await gateway.terminate();
      if (code !== 0) cluster.broken(`a gateway ended with code ${code} at SIGTERM`);
      await gateway.start();
      back();
      await progress(cluster.clients, 10);
    }
  },
};

const partition: RoomFault = {
  name: "a gateway is cut off from the store",
  run: async cluster => {
    const gateway = pick(cluster.gateways, cluster.random);
    await gateway.cutFromStore();
    await until(async () => !(await gateway.ready()));
    await progress(
      cluster.clients.filter(client => client.gateway !== gateway),
      30,
    );
    await gateway.restoreStore();
    await until(() => gateway.ready());
  },
};

/** @param store of the cluster */
function storeFaults(store: TestServer, snapshots: boolean): readonly RoomFault[] {
  const pauses: RoomFault = {
    name: "the store is paused",
    run: cluster => away(cluster, store.suspend, store.resume),
  };
  const kills: RoomFault = {
    name: "the store is killed, and comes back with its data",
    run: cluster => away(cluster, store.kill, store.start),
  };
  const snapshot: RoomFault = {
    name: "the store goes back to a snapshot",
    endsEpoch: true,
    run: async cluster => {
      const redis = new Redis(store.port, "127.0.0.1");
      await redis.save();
      redis.disconnect();
      await progress(cluster.clients, 30);
      await away(cluster, store.kill, store.start);
    },
  };
  const backup: RoomFault = {
    name: "the store goes back to a backup",
    endsEpoch: true,
    run: async cluster => {
      await away(
        cluster,
        async () => {
          await store.kill();
          store.backUp();
        },
        store.start,
      );
      await progress(cluster.clients, 30);
      await away(
        cluster,
        async () => {
          await store.kill();
          store.restore();
        },
        store.start,
      );
    },
  };
  return snapshots ? [pauses, snapshot] : [pauses, kills, backup];
}

/** What can be done to a cluster. */
export function faultsOf({ store }: RoomCluster, setup: RoomSetup): readonly RoomFault[] {
  const anywhere = [cuts, silences, restarts];
  if (store === undefined || setup.store === undefined)
    return [...anywhere, killWorker, stopWorker, { ...rolling, endsEpoch: true }];
  return [...anywhere, kill, stop, rolling, partition, ...storeFaults(store, setup.store.snapshots)];
}
