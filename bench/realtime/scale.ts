import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Context, Finding, Group } from "../group.js";
import type { Child } from "../process/child.js";
import { readUsage, residentMemory } from "../process/usage.js";
import { root } from "../repository.js";
import { buildGateway } from "../stage/build.js";
import {
  freePort,
  type Parts,
  type Server,
  type Site,
  siteAlone,
  startClient,
  startGateway,
} from "../stage/servers.js";
import { startBroker } from "./subjects.js";

/** Descriptors that a process has beside its sockets. */
const spare = 500;
/** Milliseconds that any part of a run may take. */
const patience = 300_000;

interface Scenario {
  readonly engine: Parts["engine"];
  /** Left out: one gateway; else three. */
  readonly broker?: "redis" | "nats";
  readonly notices: "each" | "digest" | "off";
  /** One room, or one for two sockets. */
  readonly rooms: "one" | "many";
}

const scenarios: readonly Scenario[] = [
  { engine: "uws", notices: "each", rooms: "one" },
  { engine: "uws", notices: "digest", rooms: "one" },
  { engine: "uws", notices: "off", rooms: "one" },
  { engine: "uws", notices: "each", rooms: "many" },
  { engine: "fastify", notices: "each", rooms: "one" },
  { engine: "fastify", notices: "each", rooms: "many" },
  ...(["redis", "nats"] as const).flatMap((broker): Scenario[] => [
    { engine: "uws", broker, notices: "each", rooms: "one" },
    { engine: "uws", broker, notices: "each", rooms: "many" },
  ]),
];

/** How long storms of as many sockets as a process may have take, and what they cost. */
export const scaleGroup: Group = {
  name: "scale",
  onRequest: true,
  method: [
    "As many sockets as the descriptors of a process allow, 19,500 at most, each in a room: all in one, or two in each. They",
    "connect and join, 200 at a time; one sends a message; then the gateways are killed and started again, and all come back as the",
    "project's client does, after a random wait of up to 500 ms that doubles with each failure. Of three gateways one is killed",
    "in addition, and its members stay away until the others have been notified; and each is drained and started again in turn.",
    "`turn`: the most CPU time of a turn of an event loop of the gateways; `stall`: the longest that it stood still, other",
    "programs of the machine included; `livez`: the longest response of an admin listener.",
    "All gateways have one CPU, clients and broker the other.",
  ],
  async *run({ quick, cpus, children, note }: Context): AsyncIterable<Finding> {
    await buildGateway();
    const site = siteAlone(children, cpus.server);
    const sockets = quick ? 3000 : mostSockets();
    for (const scenario of scenarios) {
      const { broker } = scenario;
      if (broker !== undefined && spawnSync(`${broker}-server`, ["--version"]).error !== undefined) {
        note(`${broker}-server is not installed: skipped`);
        continue;
      }
      note(`${sockets} sockets, ${titleOf(scenario)}`);
      yield await new Storms(site, { ...site, cpu: cpus.load }, scenario, sockets).run();
    }
  },
};

/** As many sockets as a process may have here, and as many as one address can have to one port. */
function mostSockets(): number {
  const [, hard = "1024"] =
    /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  return Math.min(19_500, Number(hard) - spare);
}

function titleOf({ engine, broker, notices, rooms }: Scenario): string {
  const gateways = broker === undefined ? "one gateway" : `three gateways by ${broker}`;
  return `${rooms === "one" ? "one room" : "two in each room"}, notices ${notices}, ${engine}, ${gateways}`;
}

interface Gateway {
  readonly port: number;
  readonly admin: number;
  server: Server;
  /** CPU seconds of its process when it was watched from, and of the processes before it meanwhile. */
  usedBefore: number;
  usedEarlier: number;
}

/** One scenario. */
class Storms {
  readonly #remarks: string[] = [];
  #gateways: Gateway[] = [];
  #env: Readonly<Record<string, string>> = {};

  constructor(
    readonly site: Site,
    readonly loadSite: Site,
    readonly scenario: Scenario,
    readonly sockets: number,
  ) {}

  async run(): Promise<Finding> {
    const { broker, notices, rooms } = this.scenario;
    const store = broker === undefined ? undefined : await startBroker(this.loadSite, broker);
    if (store !== undefined) this.#env = { BROKER: broker ?? "", BROKER_PORT: String(store.port) };
    for (let count = 0; count < (broker === undefined ? 1 : 3); count++) {
      const [port, admin] = [await freePort(), await freePort()];
      this.#gateways.push({
        port,
        admin,
        server: await this.#start(port, admin),
        usedBefore: 0,
        usedEarlier: 0,
      });
    }
    const client = await startClient(this.loadSite, "realtime/crowd", {});
    const ports = this.#gateways.map(({ port }) => port);
    const roomCount = rooms === "one" ? 1 : Math.ceil(this.sockets / 2);
    const empty = this.#memory();
    await client.ask(`fill ${this.sockets} ${roomCount} ${notices} ${ports.join(" ")}`);
    await this.#watch("connect and join", () => client.ask("join", patience));
    await pause(2000);
    this.#remarks.push(
      `resident memory: ${((this.#memory() - empty) / this.sockets / 1024).toFixed(1)} KiB a socket`,
    );
    await this.#watch("one message to its room", () => client.ask("say 1", patience));
    await this.#watch("16 messages at once to its room", () => client.ask("say 16", patience));
    await this.#watch("all are killed and come back", async () => {
      await this.#restart(this.#gateways, gateway => gateway.server.child.stop());
      return back(client);
    });
    if (broker !== undefined) {
      await this.#crash(client);
      await this.#watch("drained in turn, all come back", async () => {
        for (const gateway of this.#gateways) {
          await this.#restart([gateway], ({ server }) => server.child.drain());
        }
        return back(client);
      });
    }
    await Promise.all([client.stop(), ...this.#gateways.map(({ server }) => server.child.stop())]);
    await store?.child.stop();
    return {
      workload: `${this.sockets} sockets, ${titleOf(this.scenario)}`,
      rows: [],
      remarks: this.#remarks,
    };
  }

  #start(port: number, admin: number): Promise<Server> {
    const { engine, broker } = this.scenario;
    return startGateway(
      this.site,
      { engine, transport: "lean" },
      {
        port,
        config: join(root, `bench/realtime/scale${broker === undefined ? "" : "-cluster"}.yaml`),
        preloaded: ["realtime/stall-probe"],
        env: { ...this.#env, ADMIN_PORT: String(admin) },
      },
    );
  }

  async #restart(gateways: readonly Gateway[], end: (gateway: Gateway) => Promise<void>): Promise<void> {
    await Promise.all(
      gateways.map(async gateway => {
        gateway.usedEarlier += usedBy(gateway) - gateway.usedBefore;
        await end(gateway);
        gateway.server = await this.#start(gateway.port, gateway.admin);
        await this.#watchFrom(gateway);
      }),
    );
  }

  /** Of two in a room each is with another gateway: every member that is left is notified of one leave, or of none. */
  async #crash(client: Child): Promise<void> {
    const [first, ...others] = this.#gateways;
    if (first === undefined) return;
    // Until the members of the gateways that were killed before are gone, which is after two leases at most.
    await pause(40_000);
    await client.ask(`away ${others.map(({ port }) => port).join(" ")}`);
    const lost = await client.ask(`count ${first.port}`);
    await this.#watch(
      "one is killed, the others notify members of its sockets' leaves",
      async () => {
        await first.server.child.stop();
        await client.ask(`lost ${lost}`, patience);
        if (this.scenario.rooms === "one") {
          await pause(35_000);
          return "within 35";
        }
        const expected = await client.ask("bereft");
        const [seconds, twice, told] = (await client.ask(`leaves ${expected}`, patience)).split(" ");
        return `${told} leaves for ${expected} members, ${twice} told twice, after ${seconds}`;
      },
      others,
    );
    await this.#watch(
      "its clients come back to the others",
      async () => {
        await client.ask("return");
        return back(client);
      },
      others,
    );
    first.server = await this.#start(first.port, first.admin);
    await client.ask(`ports ${this.#gateways.map(({ port }) => port).join(" ")}`);
  }

  #memory(): number {
    return this.#gateways.reduce((sum, { server }) => sum + residentMemory(server.child.pid), 0);
  }

  async #watchFrom(gateway: Gateway): Promise<void> {
    gateway.usedBefore = usedBy(gateway);
    await gateway.server.child.ask("stall", patience);
  }

  /** @param during resolves with its seconds, in words */
  async #watch(what: string, during: () => Promise<string>, gateways = this.#gateways): Promise<void> {
    for (const gateway of gateways) {
      gateway.usedEarlier = 0;
      await this.#watchFrom(gateway);
    }
    const lives = gateways.map(({ admin }) => new Livez(admin));
    const seconds = await during().finally(() => {
      for (const live of lives) live.stop();
    });
    let cpu = 0;
    let stall = 0;
    let turn = 0;
    for (const gateway of gateways) {
      cpu += gateway.usedEarlier + usedBy(gateway) - gateway.usedBefore;
      const stalls = (await gateway.server.child.ask("stall", patience)).split(" ").map(Number);
      stall = Math.max(stall, stalls[0] ?? 0);
      turn = Math.max(turn, stalls[1] ?? 0);
    }
    const livez = Math.max(...lives.map(({ longest }) => longest));
    const figures = `CPU ${cpu.toFixed(1)} s, turn ${turn} ms, stall ${stall} ms, livez ${livez} ms`;
    this.#remarks.push(`${what}: ${seconds} s, ${figures}`);
  }
}

function usedBy({ server }: Gateway): number {
  return readUsage(server.child.pid).cpuSeconds;
}

async function back(client: Child): Promise<string> {
  const [seconds, failed] = (await client.ask("whole", patience)).split(" ");
  return `${failed} attempts failed, whole after ${seconds}`;
}

/** Asks an admin listener every 50 ms whether its process lives. */
class Livez {
  /** Milliseconds of the longest response. */
  longest = 0;
  readonly #port: number;
  #running = true;

  constructor(port: number) {
    this.#port = port;
    void this.#ask();
  }

  stop(): void {
    this.#running = false;
  }

  async #ask(): Promise<void> {
    while (this.#running) {
      const started = performance.now();
      const lives = await new Promise<boolean>(resolve => {
        request({ port: this.#port, host: "127.0.0.1", path: "/livez", agent: false }, response => {
          response.resume().on("end", () => resolve(response.statusCode === 200));
        })
          .on("error", () => resolve(false))
          .end();
      });
      // While a gateway is down nobody responds.
      if (lives) this.longest = Math.max(this.longest, Math.round(performance.now() - started));
      await pause(50);
    }
  }
}
