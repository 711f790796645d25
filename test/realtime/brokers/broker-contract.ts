import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  type Broker,
  type BrokerPresence,
  type HistoryLimits,
  maxTogether,
  type Published,
  type RoomDraft,
  startOf,
} from "../../../src/realtime/brokers/broker.js";
import { retainedSignal, signalText } from "../../../src/realtime/brokers/signals.js";
import { GatewayError } from "../../../src/status/failure.js";
import { createLogger, type Logger } from "../../../src/telemetry/logger.js";
import { createRecorder, type Recorder } from "./recorder.js";
import { startWire, type TestServer, type Wire } from "./servers.js";

export interface BrokerKind {
  readonly name: string;
  /** Why its tests cannot run here. */
  readonly skip: string | false;
  start(): Promise<TestServer>;
  /** @param leaseMs after which a silent node is taken for dead; left out, as in use */
  create(port: number, prefix: string, history: HistoryLimits, leaseMs?: number, logger?: Logger): Broker;
  /** How many connections of the server receive a room. */
  receivers(port: number, prefix: string, room: string): Promise<number>;
  /** False where nodes and their server cannot lose each other and live on. */
  readonly outages?: false;
}

export interface Node {
  readonly broker: Broker;
  readonly recorder: Recorder;
}

const limits: HistoryLimits = { messages: 50, ttl: 60_000, maxBytes: 1 << 20 };
const few: HistoryLimits = { ...limits, messages: 10 };

export function draft(text: string, more: Partial<RoomDraft> = {}): RoomDraft {
  const frame = JSON.stringify({ type: "receive-message", message: text });
  return { frame, kept: true, key: undefined, except: undefined, at: Date.now(), ...more };
}

export function upTo(count: number, from = 1): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

/** What every broker between nodes must do, against a real server. */
export function describeBroker(kind: BrokerKind): void {
  describe(kind.name, { skip: kind.skip }, () => {
    let server: TestServer;
    const log: string[] = [];
    const logger = createLogger("error", { write: line => void log.push(line) });
    const newEpochs = (): number => log.filter(line => line.includes("all rooms begin a new epoch")).length;
    const closing: (() => Promise<void>)[] = [];
    let prefixes = 0;
    before(async () => {
      server = await kind.start();
    });
    after(async () => {
      for (const close of closing.reverse()) await close();
      await server.close();
    });

    const outage = (title: string, run: () => Promise<void>): void => {
      if (kind.outages !== false) test(title, run);
    };
    const prefix = (): string => `test${process.pid}x${++prefixes}`;
    const node = async (
      name: string,
      port = server.port,
      history = limits,
      leaseMs?: number,
    ): Promise<Node> => {
      const broker = kind.create(port, name, history, leaseMs, logger);
      const recorder = createRecorder();
      closing.push(() => broker.close());
      await broker.start(recorder);
      return { broker, recorder };
    };
    /** To the server; ends with the suite. */
    const openWire = async (): Promise<Wire> => {
      const wire = await startWire(server.port);
      closing.push(wire.close);
      return wire;
    };
    const ready = async ({ broker }: Node): Promise<void> => {
      while (!broker.ready) await new Promise(resolve => setTimeout(resolve, 10));
    };
    const got = (recorder: Recorder, room: string, seq: number): Promise<void> =>
      recorder.until(() => (recorder.seqs(room).at(-1) ?? 0) >= seq);

    test("every node with members gets what one node publishes, in order, with the same numbers", async () => {
      const name = prefix();
      const [a, b] = [await node(name), await node(name)];
      const room = "Zürich > *.general";
      const position = await a.broker.subscribe(room);
      assert.deepEqual(await b.broker.subscribe(room), position);
      assert.equal(position.seq, 0);
      const places: (Published | undefined)[] = [];
      for (let index = 1; index <= 20; index++)
        places.push(await a.broker.publish(room, draft(`hi ${index}`)));
      await Promise.all([got(a.recorder, room, 20), got(b.recorder, room, 20)]);
      assert.deepEqual(
        places,
        upTo(20).map(seq => ({ epoch: position.epoch, seq, duplicate: false })),
      );
      assert.deepEqual(b.recorder.all, a.recorder.all);
      const first = a.recorder.all[0];
      assert.ok(first?.kind === "message" && first.room === room);
      assert.deepEqual(JSON.parse(first.message.text), {
        type: "receive-message",
        message: "hi 1",
        seq: 1,
        epoch: position.epoch,
      });
    });

    test("two nodes that publish at once agree on one order without a hole", async () => {
      const name = prefix();
      const [a, b] = [await node(name), await node(name)];
      await a.broker.subscribe("general");
      await b.broker.subscribe("general");
      const published = await Promise.all(
        upTo(30).flatMap(index => [
          a.broker.publish("general", draft(`a${index}`)),
          b.broker.publish("general", draft(`b${index}`)),
        ]),
      );
      await Promise.all([got(a.recorder, "general", 60), got(b.recorder, "general", 60)]);
      assert.deepEqual(a.recorder.seqs("general"), upTo(60));
      assert.deepEqual(b.recorder.all, a.recorder.all);
      assert.deepEqual(
        published.map(place => place?.seq).sort((x = 0, y = 0) => x - y),
        upTo(60),
      );
    });

    test("a node without members gets nothing of a room", async () => {
      const name = prefix();
      const [a, b] = [await node(name), await node(name)];
      await a.broker.subscribe("loud");
      await b.broker.subscribe("loud");
      assert.equal(await kind.receivers(server.port, name, "loud"), 2);
      b.broker.unsubscribe("loud");
      await b.broker.subscribe("quiet");
      assert.equal(await kind.receivers(server.port, name, "loud"), 1);
      for (const text of ["1", "2", "3"]) await a.broker.publish("loud", draft(text));
      await a.broker.publish("quiet", draft("end"));
      await got(b.recorder, "quiet", 1);
      assert.deepEqual(b.recorder.seqs("loud"), []);
      assert.equal(b.recorder.all.length, 1);
    });

    test("the history is the same on every node, bounded, and says what it lacks", async () => {
      const name = prefix();
      const short = { ...limits, messages: 5 };
      const [a, b] = [await node(name, undefined, short), await node(name, undefined, short)];
      const first = await a.broker.publish("general", draft("1"));
      for (let index = 2; index <= 8; index++) await a.broker.publish("general", draft(String(index)));
      const epoch = first?.epoch ?? "";
      assert.deepEqual(
        (await b.broker.history("general", 100)).map(({ seq }) => seq),
        upTo(5, 4),
      );
      assert.deepEqual(
        (await b.broker.history("general", 2)).map(({ seq }) => seq),
        [7, 8],
      );
      const place = { epoch, seq: 8 };
      const since = async (seq: number, of = epoch, limit = 100) => {
        const { position, recovered, messages } = await b.broker.since("general", { epoch: of, seq }, limit);
        return { position, recovered, seqs: messages.map(message => message.seq) };
      };
      assert.deepEqual(await since(5), { position: place, recovered: true, seqs: [6, 7, 8] });
      assert.deepEqual(await since(8), { position: place, recovered: true, seqs: [] });
      assert.deepEqual(await since(1), { position: place, recovered: false, seqs: upTo(5, 4) });
      assert.deepEqual(await since(4, epoch, 2), { position: place, recovered: false, seqs: [7, 8] });
      assert.deepEqual(await since(3, "00000000"), { position: place, recovered: false, seqs: [] });
      assert.equal((await b.broker.since("nowhere", { epoch, seq: 1 }, 10)).recovered, false);
      assert.deepEqual(await b.broker.history("nowhere", 10), []);
      assert.deepEqual(await b.broker.rooms(10), ["general"]);
      assert.deepEqual(await b.broker.subscribe("general"), place);
    });

    test("a page of the history ends before the requested number", async () => {
      const a = await node(prefix());
      for (const text of ["1", "2", "3", "4", "5"]) await a.broker.publish("general", draft(text));
      const page = async (limit: number, beforeSeq?: number) =>
        (await a.broker.history("general", limit, beforeSeq)).map(({ seq }) => seq);
      assert.deepEqual(await page(2), [4, 5]);
      assert.deepEqual(await page(2, 4), [2, 3]);
      assert.deepEqual(await page(2, 2), [1]);
      assert.deepEqual(await page(2, 1), []);
      assert.deepEqual(await page(2, 100), [4, 5]);
    });

    test("rooms that differ keep as many messages, and for as long, as each may", async () => {
      const of = (room: string) =>
        room.startsWith("short") ? { messages: 2, ttl: 60_000 } : { messages: 50, ttl: 60_000 };
      const a = await node(prefix(), undefined, { ...limits, of });
      for (const text of ["1", "2", "3"]) {
        await a.broker.publish("short", draft(text));
        await a.broker.publish("long", draft(text));
      }
      const kept = async (room: string) => (await a.broker.history(room, 10)).map(({ seq }) => seq);
      assert.deepEqual([await kept("short"), await kept("long")], [[2, 3], upTo(3)]);
      const brief = {
        ...limits,
        of: (room: string) => ({ messages: 50, ttl: room === "brief" ? 1 : 60_000 }),
      };
      const b = await node(prefix(), undefined, brief);
      await b.broker.publish("brief", draft("gone"));
      await b.broker.publish("long", draft("kept"));
      while ((await b.broker.history("brief", 10)).length > 0 || (await b.broker.rooms(10)).includes("brief"))
        await new Promise(resolve => setImmediate(resolve));
      assert.deepEqual(await b.broker.rooms(10), ["long"]);
      assert.equal((await b.broker.history("long", 10)).length, 1);
    });

    test("the messages of all rooms together are bounded in bytes, and the oldest are given up", async () => {
      const maxBytes = 256 * 1024;
      const a = await node(prefix(), undefined, { ...limits, maxBytes });
      const text = "x".repeat(16 * 1024);
      for (let index = 0; index < 40; index++) await a.broker.publish(`room ${index % 4}`, draft(text));
      let bytes = 0;
      for (let room = 0; room < 4; room++) {
        const kept = await a.broker.history(`room ${room}`, 100);
        for (const message of kept) bytes += message.text.length;
        assert.equal(kept.at(-1)?.seq, 10);
      }
      assert.ok(bytes <= maxBytes && bytes >= maxBytes / 2, `${bytes} bytes are kept`);
    });

    test("messages grow too old, and a room with members keeps its place", async () => {
      const name = prefix();
      const a = await node(name, undefined, { ...limits, ttl: 1000 });
      const { epoch } = await a.broker.subscribe("general");
      await a.broker.publish("general", draft("old"));
      await a.broker.publish("general", draft("old too"));
      while ((await a.broker.history("general", 10)).length > 0) {
        await new Promise(resolve => setTimeout(resolve, 50));
      }
      assert.deepEqual(await a.broker.rooms(10), []);
      assert.deepEqual(await a.broker.publish("general", draft("new")), { epoch, seq: 3, duplicate: false });
      await got(a.recorder, "general", 3);
    });

    test("a room that its only member leaves for a moment keeps its place for what is published meanwhile", async () => {
      const name = prefix();
      const [a, b] = [await node(name), await node(name)];
      const position = await a.broker.subscribe("general");
      a.broker.unsubscribe("general");
      await b.broker.publish("general", draft("meanwhile"));
      assert.deepEqual(await a.broker.subscribe("general"), { ...position, seq: 1 });
      const { recovered, messages } = await a.broker.since("general", position, 10);
      assert.deepEqual([recovered, messages.map(({ seq }) => seq)], [true, [1]]);
    });

    test("a broker publishes only the first of two messages with one key, on whatever node", async () => {
      const name = prefix();
      const [a, b] = [await node(name), await node(name)];
      await a.broker.subscribe("general");
      const first = await a.broker.publish("general", draft("once", { key: "k1" }));
      const again = await b.broker.publish("general", draft("twice", { key: "k1" }));
      assert.deepEqual(again, { ...first, duplicate: true });
      const other = await b.broker.publish("other", draft("elsewhere", { key: "k1" }));
      assert.equal(other?.duplicate, false);
      const next = await b.broker.publish("general", draft("next", { key: "k2" }));
      assert.deepEqual([next?.seq, next?.duplicate], [2, false]);
      await got(a.recorder, "general", 2);
      assert.equal(a.recorder.all.length, 2);
    });

    test("a broker delivers notices to members and does not keep them in history", async () => {
      const name = prefix();
      const [a, b] = [await node(name), await node(name)];
      await b.broker.subscribe("general");
      const notice = draft("joined", { kept: false, except: "s-1", at: 1234 });
      assert.equal(await a.broker.publish("general", notice), undefined);
      await b.recorder.until(all => all.length === 1);
      assert.deepEqual(b.recorder.all[0], {
        kind: "notice",
        room: "general",
        notice: { text: notice.frame, except: "s-1", at: 1234 },
      });
      assert.deepEqual(await a.broker.history("general", 10), []);
    });

    test("all other nodes get the signal of a node", async () => {
      const name = prefix();
      const [a, b, c] = [await node(name), await node(name), await node(name)];
      a.broker.signal('{"subject":"jdoe"}');
      await Promise.all([b, c].map(({ recorder }) => recorder.until(all => all.length === 1)));
      assert.deepEqual(b.recorder.all, [{ kind: "signal", text: '{"subject":"jdoe"}' }]);
      b.broker.signal("bye");
      await a.recorder.until(all => all.length === 1);
      assert.deepEqual(a.recorder.all, [{ kind: "signal", text: "bye" }]);
    });

    test("a signal that lasts is heard by nodes that start after it, once", async () => {
      const name = prefix();
      const [a, b] = [await node(name), await node(name)];
      await a.broker.signal("passing");
      await a.broker.signal(retainedSignal("lasting"));
      await b.recorder.until(all => all.length === 2);
      const late = await node(name);
      await late.recorder.until(all => all.length === 1);
      await a.broker.signal("after");
      await late.recorder.until(all => all.length === 2);
      const texts = late.recorder.all.map(entry => entry.kind === "signal" && signalText(entry.text));
      assert.deepEqual(texts, ["lasting", "after"]);
    });

    outage(
      "a node that was cut off gets signals of that time once when it is back, and none from before its start",
      async () => {
        const name = prefix();
        const wire = await openWire();
        const a = await node(name);
        await a.broker.signal("before");
        const b = await node(name, wire.port);
        await a.broker.signal("live");
        await b.recorder.until(all => all.length === 1);
        await wire.cut();
        await a.broker.signal("banned");
        while (b.broker.ready) await new Promise(resolve => setTimeout(resolve, 5));
        await assert.rejects(async () => b.broker.signal("lost"), unavailable);
        await wire.mend();
        await b.recorder.until(all => all.length === 2);
        await a.broker.signal("after");
        await b.recorder.until(all => all.length === 3);
        const texts = b.recorder.all.map(entry => entry.kind === "signal" && entry.text);
        assert.deepEqual(texts, ["live", "banned", "after"]);
        assert.deepEqual(a.recorder.all, []);
      },
    );

    outage("a node that was cut off gets what it missed, in order", async () => {
      const name = prefix();
      const wire = await openWire();
      const [a, b] = [await node(name), await node(name, wire.port)];
      await b.broker.subscribe("general");
      await a.broker.publish("general", draft("before"));
      await got(b.recorder, "general", 1);
      await wire.cut();
      for (const text of ["1", "2", "3"]) await a.broker.publish("general", draft(text));
      await wire.mend();
      await got(b.recorder, "general", 4);
      await a.broker.publish("general", draft("after"));
      await got(b.recorder, "general", 5);
      assert.deepEqual(b.recorder.seqs("general"), upTo(5));
      assert.equal(b.recorder.all.length, 5);
    });

    outage("a node that was cut off for too long gets the exact gap", async () => {
      const name = prefix();
      const wire = await openWire();
      const short = { ...limits, messages: 4 };
      const [a, b] = [await node(name, undefined, short), await node(name, wire.port, short)];
      const { epoch } = await b.broker.subscribe("general");
      await a.broker.publish("general", draft("before"));
      await got(b.recorder, "general", 1);
      await wire.cut();
      for (let index = 2; index <= 11; index++) await a.broker.publish("general", draft(String(index)));
      await wire.mend();
      await got(b.recorder, "general", 11);
      assert.deepEqual(b.recorder.all[1], { kind: "gap", room: "general", epoch, from: 2, to: 7 });
      assert.deepEqual(b.recorder.seqs("general"), [1, 8, 9, 10, 11]);
    });

    outage(
      "a broker whose server is away fails to publish at once, and works again when it is back",
      async () => {
        const name = prefix();
        const [a, b] = [await node(name), await node(name)];
        const { epoch } = await a.broker.subscribe("general");
        await b.broker.subscribe("general");
        await a.broker.publish("general", draft("before", { key: "k" }));
        await got(b.recorder, "general", 1);
        await server.kill();
        while (a.broker.ready || b.broker.ready) await new Promise(resolve => setTimeout(resolve, 5));
        await assert.rejects(async () => a.broker.publish("general", draft("lost")), unavailable);
        await assert.rejects(async () => b.broker.subscribe("other"), unavailable);
        await assert.rejects(async () => b.broker.history("general", 1), unavailable);
        await server.start();
        await Promise.all([ready(a), ready(b)]);
        const again = await b.broker.publish("general", draft("again", { key: "k" }));
        assert.deepEqual(again, { epoch, seq: 1, duplicate: true });
        await b.broker.publish("general", draft("after"));
        await Promise.all([got(a.recorder, "general", 2), got(b.recorder, "general", 2)]);
        assert.deepEqual(a.recorder.seqs("general"), [1, 2]);
        assert.deepEqual(b.recorder.all, a.recorder.all);
      },
    );

    outage("a node that starts before its server works as soon as that is there", async () => {
      await server.kill();
      const a = await node(prefix());
      assert.equal(a.broker.ready, false);
      await server.start();
      await ready(a);
      await a.broker.subscribe("general");
      await a.broker.publish("general", draft("hi"));
      await got(a.recorder, "general", 1);
    });

    /** Its server is started again after that. */
    const restart = async (
      nodes: readonly Node[],
      stopped: () => unknown = () => undefined,
    ): Promise<void> => {
      await server.kill();
      while (nodes.some(({ broker }) => broker.ready)) await new Promise(resolve => setTimeout(resolve, 5));
      await stopped();
      await server.start();
      await Promise.all(nodes.map(ready));
    };
    const textsOf = ({ recorder }: Node): string[] =>
      recorder.all.flatMap(entry =>
        entry.kind === "message" ? [JSON.parse(entry.message.text).message as string] : [],
      );

    outage(
      "a server that comes back from an older backup gives no number twice, and an older position is not recovered",
      async () => {
        const name = prefix();
        const [member, publisher] = [await node(name), await node(name)];
        const { epoch } = await member.broker.subscribe("general");
        for (const text of ["1", "2", "3"]) await publisher.broker.publish("general", draft(text));
        await restart([member, publisher], server.backUp);
        for (const text of ["lost 4", "lost 5"]) await publisher.broker.publish("general", draft(text));
        await member.recorder.until(() => textsOf(member).length === 5);
        assert.deepEqual(member.recorder.seqs("general"), upTo(5));
        const before = newEpochs();
        await restart([member, publisher], server.restore);
        assert.ok(newEpochs() > before);
        const published = [];
        for (const text of ["a", "b", "c"])
          published.push(await publisher.broker.publish("general", draft(text)));
        const [first] = published;
        assert.ok(first !== undefined && first.epoch !== epoch);
        const begin = startOf(first.epoch) + 1;
        const { epoch: begun } = first;
        assert.deepEqual(
          published,
          upTo(3, begin).map(seq => ({ epoch: begun, seq, duplicate: false })),
        );
        await member.recorder.until(() => textsOf(member).length === 8);
        assert.deepEqual(textsOf(member).slice(5), ["a", "b", "c"]);
        // Nothing of the new epoch is missing.
        assert.ok(!member.recorder.all.some(({ kind }) => kind === "gap"));
        const since = async (of: string, seq: number) => {
          const { recovered, messages } = await publisher.broker.since("general", { epoch: of, seq }, 100);
          return [recovered, messages.map(message => message.seq)];
        };
        assert.deepEqual(await since(epoch, 3), [false, []]);
        assert.deepEqual(await since(begun, begin - 1), [true, upTo(3, begin)]);
        assert.deepEqual(await since(begun, 0), [true, upTo(3, begin)]);
        // A node that has seen nothing of it follows, and a restart that loses nothing changes nothing.
        const late = await node(name);
        const place = { epoch: begun, duplicate: false };
        assert.deepEqual(await late.broker.publish("general", draft("d")), { ...place, seq: begin + 3 });
        await restart([member, publisher, late]);
        assert.deepEqual(await publisher.broker.publish("general", draft("e")), { ...place, seq: begin + 4 });
      },
    );

    outage(
      "rooms begin one new epoch when their server comes back from an older backup, however late nodes reconnect",
      async () => {
        const name = prefix();
        const wire = await openWire();
        const [first, late] = [await node(name), await node(name, wire.port)];
        const { epoch } = await late.broker.subscribe("general");
        await first.broker.publish("general", draft("kept"));
        await restart([first, late], server.backUp);
        for (const text of ["lost 1", "lost 2"]) await first.broker.publish("general", draft(text));
        await late.recorder.until(() => textsOf(late).length === 3);
        await wire.cut();
        await restart([first], server.restore);
        const place = await first.broker.publish("general", draft("new 1"));
        assert.ok(place !== undefined && place.epoch !== epoch);
        await wire.mend();
        await ready(late);
        assert.deepEqual(await first.broker.publish("general", draft("new 2")), {
          ...place,
          seq: place.seq + 1,
        });
        await late.recorder.until(() => textsOf(late).length >= 5);
        assert.deepEqual(textsOf(late), ["kept", "lost 1", "lost 2", "new 1", "new 2"]);
      },
    );

    outage(
      "a node that alone has seen messages which its server has lost makes rooms begin a new epoch, though others have published meanwhile",
      async () => {
        const name = prefix();
        const wire = await openWire();
        const [first, late] = [await node(name), await node(name, wire.port)];
        const { epoch } = await late.broker.subscribe("general");
        await restart([first, late], server.backUp);
        await late.broker.publish("general", draft("lost"));
        await wire.cut();
        await first.broker.close();
        await restart([], server.restore);
        const other = await node(name);
        for (const text of ["1", "2", "3"]) await other.broker.publish("general", draft(text));
        await wire.mend();
        await ready(late);
        const place = await other.broker.publish("general", draft("4"));
        assert.ok(place !== undefined && place.epoch !== epoch);
        await late.recorder.until(() => textsOf(late).includes("4"));
      },
    );

    const acquire = async ({ broker }: Node): Promise<string> => {
      for (;;) {
        const result = await broker.leases.acquire("general");
        if ("token" in result) return result.token;
        await new Promise(resolve => setTimeout(resolve, Math.min(result.heldMs, 50)));
      }
    };
    /** @param before how many messages were published under the lease */
    const under = async ({ broker }: Node, token: string, before: number, ...texts: string[]) =>
      broker.leases.publish(
        "general",
        texts.map(text => draft(text)),
        token,
        before,
      );

    test("one node at a time holds the lease of a room, and nodes with members learn of its release", async () => {
      const name = prefix();
      const [a, b] = [await node(name), await node(name)];
      const { epoch } = await b.broker.subscribe("general");
      const token = await acquire(a);
      const refused = await b.broker.leases.acquire("general");
      assert.ok("heldMs" in refused && refused.heldMs > 0 && refused.heldMs <= a.broker.leases.leaseMs);
      assert.ok("token" in (await b.broker.leases.acquire("other")));
      assert.equal(await a.broker.leases.renew("general", token), true);
      assert.equal(await b.broker.leases.renew("general", "unknown"), false);
      await b.broker.leases.release("general", "unknown");
      assert.equal(await under(a, token, 0, "fed"), true);
      assert.equal(await under(b, "unknown", 0, "refused"), false);
      // Others publish as they did.
      const said = await b.broker.publish("general", draft("said"));
      assert.deepEqual(said, { epoch, seq: 2, duplicate: false });
      assert.equal(await under(a, token, 1, "fed too"), true);
      await a.broker.leases.release("general", token);
      await b.recorder.until(all => all.some(({ kind }) => kind === "vacated"));
      const next = await b.broker.leases.acquire("general");
      assert.ok("token" in next && next.token !== token);
      assert.equal(await under(a, token, 2, "late"), false);
      assert.equal(await a.broker.leases.renew("general", token), false);
      await a.broker.leases.release("general", token);
      assert.equal(await under(b, next.token, 0, "fed by the next"), true);
      await got(b.recorder, "general", 4);
      assert.deepEqual(b.recorder.seqs("general"), upTo(4));
    });

    test("a lease that is not renewed ends, and what its holder publishes later is refused by the store", async () => {
      const name = prefix();
      const [a, b] = [await node(name, undefined, limits, 1500), await node(name, undefined, limits, 1500)];
      await b.broker.subscribe("general");
      const first = await acquire(a);
      assert.equal(await under(a, first, 0, "1"), true);
      const second = await acquire(b);
      // Both publish at once, before and after the other has been seen.
      const tries = upTo(20).flatMap(index => [
        under(a, first, index, `a${index}`),
        under(b, second, index - 1, `b${index}`),
      ]);
      assert.deepEqual(
        await Promise.all(tries),
        upTo(20).flatMap(() => [false, true]),
      );
      assert.equal(await a.broker.leases.renew("general", first), false);
      await got(b.recorder, "general", 21);
      assert.equal(b.recorder.seqs("general").length, 21);
    });

    test("a lease that has ended goes on where nobody else has acquired it", async () => {
      const a = await node(prefix(), undefined, limits, 300);
      const token = await acquire(a);
      await new Promise(resolve => setTimeout(resolve, 900));
      assert.equal(await a.broker.leases.renew("general", token), true);
      assert.equal(await under(a, token, 0, "late"), true);
    });

    test("messages that are published together under a lease keep their order, and those that are published again are left out", async () => {
      const name = prefix();
      // Of so many together, a room keeps too few to find all of them again.
      const [a, b] = [await node(name, undefined, few), await node(name, undefined, few)];
      await b.broker.subscribe("general");
      const token = await acquire(a);
      const texts = upTo(maxTogether).map(index => `fed ${index}`);
      assert.equal(await under(a, token, 0, ...texts), true);
      assert.equal(await under(a, token, 0, ...texts), true);
      await b.broker.publish("general", draft("said"));
      // The first of them is there already.
      assert.equal(await under(a, token, maxTogether - 1, ...texts.slice(-1), "more", "last"), true);
      const last = maxTogether + 3;
      await got(b.recorder, "general", last);
      assert.deepEqual(b.recorder.texts("general"), [...texts, "said", "more", "last"]);
      assert.deepEqual(b.recorder.seqs("general"), upTo(last));
      const kept = await b.broker.history("general", 100);
      assert.deepEqual(
        kept.map(({ seq }) => seq),
        upTo(last).slice(-few.messages),
      );
      // Another lease counts anew.
      await a.broker.leases.release("general", token);
      assert.equal(await under(b, await acquire(b), 0, "of the next"), true);
      await got(b.recorder, "general", last + 1);
      assert.equal(b.recorder.texts("general").at(-1), "of the next");
    });

    outage("a lease that the server has lost is over, and another can be acquired", async () => {
      const name = prefix();
      const [a, b] = [await node(name), await node(name)];
      const token = await acquire(a);
      await under(a, token, 0, "before");
      await server.kill();
      server.empty();
      await server.start();
      await Promise.all([ready(a), ready(b)]);
      assert.equal(await under(a, token, 1, "lost"), false);
      await a.broker.leases.release("general", token);
      const next = await acquire(b);
      assert.equal(await under(b, next, 0, "after"), true);
      assert.equal(await under(a, token, 1, "late"), false);
    });

    const presence = ({ broker }: Node): BrokerPresence => {
      assert.ok(broker.presence !== undefined);
      return broker.presence;
    };
    const names = async (each: Node): Promise<string[]> =>
      (await presence(each).members("general")).map(({ session, from }) => `${session} ${from}`).sort();
    const settle = async (each: Node, wanted: readonly string[]): Promise<void> => {
      while ((await names(each)).join() !== wanted.join()) {
        await new Promise(resolve => setTimeout(resolve, 10));
      }
    };
    const heard = ({ recorder }: Node, wanted: readonly string[]): Promise<void> =>
      recorder.until(() => recorder.members("general").join() === wanted.join());

    /** Nodes report at the same time: the order of their members is not told. */
    const heardAll = ({ recorder }: Node, wanted: readonly string[]): Promise<void> =>
      recorder.until(() => recorder.members("general").toSorted().join() === wanted.toSorted().join());

    test("members are known on every node, until their node is closed", async () => {
      const name = prefix();
      const [a, b] = [await node(name), await node(name)];
      presence(a).enter("general", { session: "s1", from: "Will Hall" });
      presence(b).enter("general", { session: "s2", from: "jdoe" });
      presence(b).enter("general", { session: "s3", from: "jdoe" });
      for (const each of [a, b]) await settle(each, ["s1 Will Hall", "s2 jdoe", "s3 jdoe"]);
      presence(b).exit("general", { session: "s2", from: "jdoe" });
      for (const each of [a, b]) await settle(each, ["s1 Will Hall", "s3 jdoe"]);
      await b.broker.close();
      await settle(a, ["s1 Will Hall"]);
    });

    test("a name comes with its first session and leaves with its last, on whatever nodes they are", async () => {
      const name = prefix();
      const [a, b] = [await node(name), await node(name)];
      await a.broker.subscribe("general");
      presence(a).enter("general", { session: "s1", from: "jdoe" });
      await heard(a, ["+jdoe"]);
      await b.broker.subscribe("general");
      presence(b).enter("general", { session: "s2", from: "jdoe" });
      presence(b).enter("general", { session: "s3", from: "hsue" });
      await heard(a, ["+jdoe", "+hsue"]);
      presence(a).exit("general", { session: "s1", from: "jdoe" });
      presence(b).exit("general", { session: "s3", from: "hsue" });
      await heard(a, ["+jdoe", "+hsue", "-hsue"]);
      presence(b).exit("general", { session: "s2", from: "jdoe" });
      await heard(a, ["+jdoe", "+hsue", "-hsue", "-jdoe"]);
      // Who was there before a node received the room has not come: it is not told of it.
      await heard(b, ["+hsue", "-hsue", "-jdoe"]);
    });

    test("presence counts each session once while members come and go", async () => {
      const name = prefix();
      const [a, b] = [await node(name), await node(name)];
      for (let index = 0; index < 50; index++) {
        presence(a).enter("general", { session: `a${index}`, from: `A${index}` });
      }
      let busy = true;
      const churn = (async () => {
        for (let index = 0; busy; index++) {
          const member = { session: `a${index % 50}`, from: `A${index % 50}` };
          presence(a).exit("general", member);
          presence(a).enter("general", member);
          await new Promise(resolve => setImmediate(resolve));
        }
      })();
      for (let round = 0; round < 20; round++) {
        const sessions = (await presence(b).members("general")).map(({ session }) => session);
        assert.equal(new Set(sessions).size, sessions.length);
        assert.ok(sessions.length <= 50);
      }
      busy = false;
      await churn;
    });

    outage(
      "the members of a node that died leave once, announced by another node, which learns of their rooms",
      async () => {
        const name = prefix();
        const wire = await openWire();
        const a = await node(name, server.port, limits, 1500);
        const b = await node(name, wire.port, limits, 1500);
        for (const each of [a, b]) await each.broker.subscribe("general");
        presence(a).enter("general", { session: "a1", from: "jdoe" });
        presence(b).open("b1", "jdoe");
        presence(b).open("b2", "hsue");
        presence(b).enter("general", { session: "b1", from: "jdoe" });
        presence(b).enter("general", { session: "b2", from: "hsue" });
        presence(b).enter("elsewhere", { session: "b2", from: "Hsue" });
        await heard(a, ["+jdoe", "+hsue"]);
        await settle(a, ["a1 jdoe", "b1 jdoe", "b2 hsue"]);
        await wire.cut();
        await a.recorder.until(all => all.some(({ kind }) => kind === "lost"));
        await heard(a, ["+jdoe", "+hsue", "-hsue"]);
        await settle(a, ["a1 jdoe"]);
        const lost = a.recorder.all.flatMap(entry => (entry.kind === "lost" ? [...entry.sessions] : []));
        assert.deepEqual(
          lost.map(([session, { rooms, subject }]) => [session, subject, [...rooms].sort()]).sort(),
          [
            ["b1", "jdoe", [["general", "jdoe"]]],
            [
              "b2",
              "hsue",
              [
                ["elsewhere", "Hsue"],
                ["general", "hsue"],
              ],
            ],
          ],
        );
        // It was not dead: it learns what the others believe, and says again who is with it.
        await wire.mend();
        await b.recorder.until(all => all.some(({ kind }) => kind === "evicted"));
        await settle(a, ["a1 jdoe", "b1 jdoe", "b2 hsue"]);
        await heard(a, ["+jdoe", "+hsue", "-hsue", "+hsue"]);
        presence(b).exit("general", { session: "b2", from: "hsue" });
        await heard(a, ["+jdoe", "+hsue", "-hsue", "+hsue", "-hsue"]);
        assert.equal(a.recorder.all.filter(({ kind }) => kind === "lost").length, 1);
      },
    );

    outage("a node that was cut off is notified of members that left or came when it is back", async () => {
      const name = prefix();
      const wire = await openWire();
      const a = await node(name, server.port, limits, 4000);
      const b = await node(name, wire.port, limits, 4000);
      for (const each of [a, b]) await each.broker.subscribe("general");
      presence(a).enter("general", { session: "a1", from: "jdoe" });
      presence(b).enter("general", { session: "b1", from: "will" });
      await heardAll(b, ["+jdoe", "+will"]);
      await heardAll(a, ["+jdoe", "+will"]);
      await wire.cut();
      presence(a).exit("general", { session: "a1", from: "jdoe" });
      presence(a).enter("general", { session: "a2", from: "hsue" });
      presence(b).exit("general", { session: "b1", from: "will" });
      await heardAll(a, ["+jdoe", "+will", "-jdoe", "+hsue"]);
      await wire.mend();
      await heardAll(a, ["+jdoe", "+will", "-jdoe", "+hsue", "-will"]);
      await b.recorder.until(() => b.recorder.members("general").length === 5);
      assert.deepEqual(b.recorder.members("general").slice(2).sort(), ["+hsue", "-jdoe", "-will"]);
    });

    outage(
      "members are there again after the server has lost everything, and no member gets any notice of it",
      async () => {
        const name = prefix();
        const [a, b] = [await node(name), await node(name)];
        for (const each of [a, b]) await each.broker.subscribe("general");
        presence(a).enter("general", { session: "a1", from: "jdoe" });
        presence(b).enter("general", { session: "b1", from: "hsue" });
        for (const each of [a, b]) await settle(each, ["a1 jdoe", "b1 hsue"]);
        for (const each of [a, b])
          await each.recorder.until(() => each.recorder.members("general").length === 2);
        await server.kill();
        server.empty();
        await server.start();
        await Promise.all([ready(a), ready(b)]);
        for (const each of [a, b]) await settle(each, ["a1 jdoe", "b1 hsue"]);
        presence(a).exit("general", { session: "a1", from: "jdoe" });
        for (const each of [a, b]) {
          await each.recorder.until(() => each.recorder.members("general").at(-1) === "-jdoe");
          assert.equal(each.recorder.members("general").length, 3);
        }
      },
    );
  });
}

function unavailable(error: unknown): boolean {
  assert.ok(error instanceof GatewayError);
  assert.equal(error.failure.reason, "BROKER_UNAVAILABLE");
  return true;
}
