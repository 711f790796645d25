import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { pollTransport, sseTransport } from "../../clients/js/src/fallback.js";
import { randomFrom } from "../fuzz/mutate.js";
import { RoomClient } from "./room-client.js";
import { faultsOf, type RoomCluster, type RoomFault } from "./room-faults.js";
import { Gateway, noSkew, type RoomSetup, roomSetups } from "./room-gateway.js";
import { RoomLedger } from "./room-ledger.js";

/** The history of `short-` rooms is five messages: who is away for longer is told of a loss. */
const roomNames = ["general", "short-a"];
/** Clients by each transport. */
const clientsEach = 3;
/** Milliseconds in which all members must have what was acknowledged, once everything is there again. */
const patienceMs = 60_000;
/** Descriptions that are kept. */
const maxBroken = 20;

export interface RoomsRun {
  readonly setup: RoomSetup;
  readonly seed: number;
  /** Whether the clock of one gateway is wrong. */
  readonly skew: boolean;
  /** The faults in turn, of those that the setup allows. */
  plan(possible: readonly RoomFault[]): Iterable<RoomFault>;
  /** Gets what is done as it begins. */
  note(text: string): void;
  /** Called with the account when it has begun. */
  begun?(account: () => RoomsAccount): void;
}

/** What happened so far. */
export interface RoomsAccount {
  readonly acknowledged: number;
  /** To all members together. */
  readonly delivered: number;
  /** Messages that members were told to be lost, and how often they were. */
  readonly lost: number;
  readonly losses: number;
  /** Epochs that have ended. */
  readonly ended: number;
  /** How often each fault was made. */
  readonly faults: ReadonlyMap<string, number>;
  /** What contradicts the promise. */
  readonly broken: readonly string[];
}

/** Lets clients of gateways account for every message of their rooms while one fault follows the other. */
export async function runRooms({ setup, seed, skew, plan, note, begun }: RoomsRun): Promise<RoomsAccount> {
  const random = randomFrom(seed);
  const broken: string[] = [];
  let doing = "the start";
  const fail = (what: string): void => {
    if (broken.length < maxBroken) broken.push(`${doing}: ${what}`);
  };
  const closing: (() => Promise<void>)[] = [];
  const faults = new Map<string, number>();
  try {
    const store = await setup.store?.start();
    if (store !== undefined) closing.push(() => store.close());
    const gateways = await Promise.all(
      Array.from({ length: setup.gateways }, (_, index) =>
        Gateway.start(setup, store?.port, skew && index === 0 ? () => random(7200) - 3600 : undefined),
      ),
    );
    for (const gateway of gateways) closing.push(() => gateway.close());
    const rooms = roomNames.map(name => new RoomLedger(name, name.startsWith("short-"), fail));
    const transports = ["websocket" as const, sseTransport(), pollTransport()];
    const clients = await Promise.all(
      Array.from({ length: transports.length * clientsEach }, async (_, index) => {
        const gateway = gateways[Math.floor(index / transports.length) % gateways.length] as Gateway;
        const transport = transports[index % transports.length] ?? "websocket";
        return RoomClient.start(`c${index}`, transport, gateway, rooms, fail);
      }),
    );
    for (const client of clients) closing.push(() => client.close());
    const cluster: RoomCluster = { gateways, clients, store, random, broken: fail };
    const ledgers = clients.flatMap(client => client.ledgers);
    const sum = (of: (ledger: (typeof ledgers)[number]) => number): number =>
      ledgers.reduce((total, ledger) => total + of(ledger), 0);
    const account = (): RoomsAccount => ({
      acknowledged: rooms.reduce((total, { acknowledged }) => total + acknowledged, 0),
      delivered: sum(({ delivered }) => delivered),
      lost: sum(({ lost }) => lost),
      losses: sum(({ losses }) => losses),
      ended: rooms.reduce((total, { epochs }) => total + Math.max(0, epochs.size - 1), 0),
      faults,
      broken,
    });
    begun?.(account);
    for (const client of clients) client.speak();
    let mayEnd = 0;
    for (const fault of plan(faultsOf(cluster, setup))) {
      doing = fault.name;
      note(doing);
      if (fault.endsEpoch) mayEnd++;
      await fault.run(cluster);
      faults.set(fault.name, (faults.get(fault.name) ?? 0) + 1);
      await settle(clients, rooms, fail);
      for (const { name, epochs } of rooms)
        if (epochs.size - 1 > mayEnd)
          fail(`${name} has ${epochs.size} epochs after ${mayEnd} that could end`);
      if (broken.length > 0) break;
    }
    doing = "the end";
    await Promise.all(clients.map(client => client.quiet()));
    await settle(clients, rooms, fail);
    return account();
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

/** Every member gets, or is told to have lost, everything up to a message that is sent now. */
async function settle(
  clients: readonly RoomClient[],
  rooms: readonly RoomLedger[],
  fail: (what: string) => void,
): Promise<void> {
  for (const [index, room] of rooms.entries()) {
    const position = await clients[0]?.say(index);
    if (position === undefined) continue;
    const patience = performance.now() + patienceMs;
    for (const client of clients) {
      const ledger = client.ledgers[index];
      while (ledger?.has(position) === false) {
        if (performance.now() > patience) {
          const { epoch = "", seq = 0 } = ledger.position ?? {};
          fail(
            `${client.name}: ${room.name} is at ${position.seq} of ${position.epoch}, but it was told up to ${seq} of ${epoch} only`,
          );
          break;
        }
        await pause(10);
      }
    }
  }
}

/**
 * Whether every message of rooms is accounted for by every member, for `--minutes`, while gateways, their store and the
 * network fail by a schedule of `--seed`.
 */
export async function soakRooms(print: (line: string) => void): Promise<boolean> {
  const { minutes, seed } = wanted();
  print(`seed ${seed}: --seed ${seed} makes the same faults in the same order`);
  const noClock = noSkew();
  if (noClock !== false) print(`all gateways have the right time: ${noClock}`);
  let passed = true;
  const all = Object.values(roomSetups);
  const setups = all.filter(({ skip }) => skip === false);
  for (const { name, skip } of all) if (skip !== false) print(`${name} is left out: ${skip}`);
  let count = 0;
  let now = (): string => "it starts";
  const minute = setInterval(() => print(`minute ${++count}, ${now()}`), 60_000);
  for (const setup of setups) {
    const random = randomFrom(seed);
    let ends = 0;
    let latest = "";
    const account = await runRooms({
      setup,
      seed,
      skew: noClock === false && setup.gateways > 1,
      *plan(possible) {
        while (performance.now() < ends) yield possible[random(possible.length)] as RoomFault;
      },
      note: text => {
        latest = text;
      },
      begun: soFar => {
        ends = performance.now() + (minutes * 60_000) / setups.length;
        now = () => `${setup.name}: ${describe(soFar())}; now ${latest}`;
      },
    });
    print(`${setup.name}: ${describe(account)}`);
    print(`  faults: ${[...account.faults].map(([name, count]) => `${name} ×${count}`).join(", ")}`);
    for (const what of account.broken) print(`  broken, ${what}`);
    if (account.broken.length > 0) passed = false;
    else print("  every message is accounted for by every member");
  }
  clearInterval(minute);
  return passed && setups.length > 0;
}

function describe({ acknowledged, delivered, lost, losses, ended, broken }: RoomsAccount): string {
  return `${acknowledged} messages acknowledged, ${delivered} delivered, ${lost} lost in ${losses} gaps that told so, ${ended} epochs ended, ${broken.length} broken`;
}

function wanted(): { readonly minutes: number; readonly seed: number } {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: { minutes: { ...text, default: "8" }, seed: { ...text, default: String(Date.now() % 2 ** 31) } },
    strict: false,
  });
  const minutes = Number(values.minutes);
  const seed = Number(values.seed);
  if (!(minutes > 0 && minutes <= 10_000))
    throw new Error(`--minutes ${values.minutes}: expected a number of minutes such as 20`);
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed ${values.seed}: expected an integer such as 7`);
  return { minutes, seed };
}
