import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, ownHost } from "../ports.js";
import type { Response } from "../workers/served.js";
import type { Fault } from "./fault.js";
import { counted, EchoBackend, type FaultyGateway, named, until, withGateway } from "./system.js";

/** What a DNS server answers: addresses (none: the name exists without any), or that it cannot. */
type Records = readonly string[] | "NXDOMAIN" | "SERVFAIL" | "silence";

/** The one name that is asked for, and how long its records may be kept. */
const name = "backend.example";
const ttlSeconds = 1;

/** A DNS server whose records the fault decides, at an address of its own. */
class Zone {
  readonly address = ownHost();
  records: Records = [];
  asked = 0;
  readonly #socket = createSocket("udp4");

  async open(): Promise<void> {
    this.#socket.on("message", (query, client) => this.#respond(query, client));
    this.#socket.bind(53, this.address);
    await once(this.#socket, "listening");
  }

  close(): void {
    this.#socket.close();
  }

  /** RFC 1035 section 4.1. The question is given back, and what follows it (EDNS) left out. */
  #respond(query: Buffer, { port, address }: RemoteInfo): void {
    const { records } = this;
    let end = 12;
    while (query[end] !== 0) end += 1 + (query[end] ?? 0);
    const isA = query.readUInt16BE(end + 1) === 1;
    if (isA) this.asked++;
    if (records === "silence") return;
    const head = Buffer.from(query.subarray(0, end + 5));
    const addresses = typeof records === "string" || !isA ? [] : records;
    const code = records === "NXDOMAIN" ? 3 : records === "SERVFAIL" ? 2 : 0;
    head.writeUInt16BE(0x8580 | code, 2);
    for (const [at, count] of [1, addresses.length, 0, 0].entries()) head.writeUInt16BE(count, 4 + 2 * at);
    const answers = addresses.map(each => {
      const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttlSeconds, 0, 4, 0, 0, 0, 0]);
      record.set(each.split(".").map(Number), 12);
      return record;
    });
    this.#socket.send(Buffer.concat([head, ...answers]), port, address);
  }
}

interface Stage {
  readonly zone: Zone;
  readonly gateway: FaultyGateway;
  /** Backends at 127.0.0.1, 127.0.0.2 and so on, all at one port. */
  readonly backends: readonly EchoBackend[];
}

/** A gateway that asks this DNS server alone, by a mount namespace with a `resolv.conf` of its own. */
async function withZone(
  count: number,
  records: Records,
  work: (stage: Stage) => Promise<string>,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "protogate-dns-"));
  const zone = new Zone();
  zone.records = records;
  await zone.open();
  const port = await freePort();
  const backends = await Promise.all(
    Array.from({ length: count }, (_, index) => EchoBackend.start(port, `127.0.0.${index + 1}`)),
  );
  const resolv = join(folder, "resolv.conf");
  writeFileSync(resolv, `nameserver ${zone.address}\noptions timeout:1 attempts:1\n`);
  const within = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    `mount --bind ${resolv} /etc/resolv.conf && exec "$@"`,
    "sh",
  ];
  const config = `upstreams: { echo: { targets: ["dns:///${name}:${port}"], timeout: 1s } }
services: [{ service: test.v1.Echo, upstream: echo }]
`;
  try {
    return await withGateway(config, gateway => work({ zone, gateway, backends }), { within });
  } finally {
    for (const backend of backends) await backend.kill();
    zone.close();
    rmSync(folder, { recursive: true });
  }
}

const item = (gateway: FaultyGateway) => gateway.get("/v1/items/1");

async function many(gateway: FaultyGateway, count: number): Promise<string> {
  const responses = [];
  for (let index = 0; index < count; index++) responses.push(await item(gateway));
  return counted(responses);
}

/** Of all states, in one scrape: an endpoint changes its state between two. */
const endpoints = async (gateway: FaultyGateway): Promise<number> => {
  const lines = (await gateway.metrics()).matchAll(/^protogate_upstream_endpoints\{[^}]*\} (\d+)/gm);
  return [...lines].reduce((sum, [, count]) => sum + Number(count), 0);
};

const untilEndpoints = async (gateway: FaultyGateway, count: number): Promise<void> => {
  while ((await endpoints(gateway)) !== count) await new Promise(resolve => setTimeout(resolve, 100));
};

/** Milliseconds that something takes. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;

const faults: readonly Omit<Fault, "skip">[] = [
  {
    name: "a backend moves to another address",
    run: () =>
      withZone(2, ["127.0.0.1"], async ({ zone, gateway, backends }) => {
        assert.equal(await many(gateway, 5), "200 ×5");
        zone.records = ["127.0.0.2"];
        await backends[0]?.kill();
        const ms = await timed(() => until(() => item(gateway), 200));
        const seen = await many(gateway, 20);
        assert.equal(seen, "200 ×20");
        assert.equal(await endpoints(gateway), 1);
        return `served from the new address ${seconds(ms)} after the old one was gone`;
      }),
  },
  {
    name: "DNS answers with one more endpoint",
    run: () =>
      withZone(3, ["127.0.0.1", "127.0.0.2"], async ({ zone, gateway }) => {
        await untilEndpoints(gateway, 2);
        zone.records = ["127.0.0.2", "127.0.0.3", "127.0.0.1"];
        const responses: Response[] = [];
        let over = false;
        const client = (async () => {
          while (!over) responses.push(await item(gateway));
        })();
        const appeared = await timed(() => untilEndpoints(gateway, 3));
        over = true;
        await client;
        const seen = counted(responses);
        assert.equal(seen, `200 ×${responses.length}`);
        return `seen after ${seconds(appeared)}, ${zone.asked} questions with a TTL of ${ttlSeconds} s; meanwhile ${seen}`;
      }),
  },
  ...(["NXDOMAIN", "SERVFAIL", "silence", "no addresses"] as const).map(answer => ({
    name: `DNS answers by ${answer}`,
    run: () =>
      withZone(1, ["127.0.0.1"], async ({ zone, gateway, backends }) => {
        assert.equal(await many(gateway, 5), "200 ×5");
        zone.records = answer === "no addresses" ? [] : answer;
        // With its connection gone the name is resolved again.
        await backends[0]?.kill();
        const gone = named(await item(gateway));
        assert.equal(gone, "503 UPSTREAM_UNAVAILABLE");
        const before = zone.asked;
        while (zone.asked === before) await item(gateway);
        await backends[0]?.start();
        await until(() => item(gateway), 200);
        const seen = await many(gateway, 50);
        assert.equal(seen, "200 ×50");
        return `${gone} while the backend is gone, then from its known address ${seen}`;
      }),
  })),
  {
    name: "a name does not resolve when the gateway starts",
    run: () =>
      withZone(1, "NXDOMAIN", async ({ zone, gateway }) => {
        const unknown = named(await item(gateway));
        assert.equal(unknown, "503 UPSTREAM_UNAVAILABLE");
        zone.records = ["127.0.0.1"];
        const ms = await timed(() => until(() => item(gateway), 200));
        return `${unknown}; served ${seconds(ms)} after the name was there`;
      }),
  },
];

export const dnsFaults: readonly Fault[] = faults.map(fault => ({ ...fault, skip: noMounts }));

function noMounts(): string | false {
  if (process.getuid?.() !== 0) return "a resolv.conf of its own needs root";
  return spawnSync("unshare", ["--mount", "true"]).status === 0
    ? false
    : "mount namespaces cannot be made here";
}
