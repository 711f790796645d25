import { gatewayError } from "../../status/failure.js";
import { randomHex } from "../../telemetry/ids.js";
import {
  brokerUnavailable,
  maxTogether,
  type Published,
  type RoomDraft,
  type RoomPosition,
  stamped,
} from "./broker.js";
import type { NatsLineage } from "./nats-lineage.js";
import type { NatsLink } from "./nats-link.js";
import { type LogEntry, type NatsLog, partsOf } from "./nats-log.js";

/** Where a room is, and the number in the stream of its last entry. */
export interface Head extends RoomPosition {
  readonly stored: number;
  readonly lineage: number;
  readonly lease: string;
  readonly leased: number;
}

/** Rooms whose heads are remembered without members here. */
const maxHeads = 10_000;
/** Messages that may wait for the one before in their room. */
const maxWaiting = 1000;
/** Characters of the messages that are appended together, about. */
const maxBatchSize = 64 * 1024;
/** Bytes of the headers of an entry at most. */
const headerRoom = 1024 + maxTogether * 24;
/** Characters that the position adds to a text, about. */
const positionSize = 64;

/** Messages that wait together, and are appended as one entry. */
interface Batch {
  readonly drafts: RoomDraft[];
  /** Characters, about. */
  size: number;
  done: Promise<readonly Published[]>;
}

/** The lease under which messages are published, and how many were before. */
interface LeasePosition {
  readonly token: string;
  readonly published: number;
}

/** What is written to a room, one after the other. */
interface Queue {
  tail: Promise<unknown>;
  /** Messages and marks. */
  waiting: number;
  /** The last in the queue, where it has not begun. */
  batch: Batch | undefined;
}

/**
 * Gives messages their positions. They are appended behind the entry that their writer takes for the last of the room;
 * where another node was faster, the writer looks again. Only one entry of a room is under way at a time: messages that
 * come meanwhile are appended together, so that a server far away costs them time, and does not limit their number.
 */
export class NatsWriter {
  readonly #link: NatsLink;
  readonly #log: NatsLog;
  readonly #lineage: NatsLineage;
  readonly #timeoutMs: number;
  /** The known heads of rooms, the latest used last. A head that is out of date costs a round trip, no more. */
  readonly #heads = new Map<string, Head>();
  readonly #queues = new Map<string, Queue>();

  constructor(link: NatsLink, log: NatsLog, lineage: NatsLineage, timeoutMs: number) {
    this.#link = link;
    this.#log = log;
    this.#lineage = lineage;
    this.#timeoutMs = timeoutMs;
  }

  head(key: string): Head | undefined {
    return this.#heads.get(key);
  }

  /** The stream may have changed. */
  forget(): void {
    this.#heads.clear();
  }

  /** An entry was seen after the known head. */
  saw(key: string, entry: Head & Pick<LogEntry, "at" | "text">): void {
    const { epoch, seq, at, text, stored, lineage, lease, leased } = entry;
    this.#lineage.seen({ key, epoch, seq, at, text, stored });
    const known = this.#heads.get(key);
    if (known !== undefined && known.stored >= stored) return;
    this.#heads.delete(key);
    this.#heads.set(key, { epoch, seq, stored, lineage, lease, leased });
    if (this.#heads.size <= maxHeads) return;
    const [oldest] = this.#heads.keys();
    if (oldest !== undefined) this.#heads.delete(oldest);
  }

  /**
   * @param continued the position after which the room continues if the stream has lost it: received here without a gap
   * @throws GatewayError BROKER_UNAVAILABLE (rejects)
   */
  async publish(
    key: string,
    draft: RoomDraft,
    continued: () => RoomPosition | undefined,
  ): Promise<Published | undefined> {
    const size = draft.frame.length + positionSize;
    const queue = this.#queues.get(key);
    const open = queue?.batch;
    const fits =
      open !== undefined &&
      draft.key === undefined &&
      open.drafts.length < maxTogether &&
      open.size + size <= Math.min(maxBatchSize, this.#largest / 3);
    if (queue !== undefined && fits) {
      this.#requireTurn(queue);
      queue.waiting++;
      open.size += size;
      const index = open.drafts.push(draft) - 1;
      return (await open.done)[index];
    }
    const batch: Batch = { drafts: [draft], size, done: Promise.resolve([]) };
    const append = async () => (await this.#append(key, batch.drafts, continued)) ?? [];
    batch.done = this.#inTurn(key, append, batch);
    return (await batch.done)[0];
  }

  /** As `BrokerLeases.publish`, of a room by its key. */
  async publishUnder(
    key: string,
    drafts: readonly RoomDraft[],
    token: string,
    published: number,
  ): Promise<boolean> {
    const lease = { token, published };
    const appended = await this.#inTurn(key, () => this.#append(key, drafts, () => undefined, lease));
    return appended !== undefined;
  }

  /** @returns undefined where the latest lease of the room is another one */
  async #append(
    key: string,
    all: readonly RoomDraft[],
    continued: () => RoomPosition | undefined,
    under?: LeasePosition,
  ): Promise<readonly Published[] | undefined> {
    for (const until = performance.now() + this.#timeoutMs; ; ) {
      const known = this.#heads.get(key) ?? (await this.#look(key)) ?? this.#begin(continued());
      const { epoch, seq, lineage, lease, leased, stored: after } = this.#inLineage(known);
      if (under !== undefined && lease !== under.token) return undefined;
      const drafts = under === undefined ? all : all.slice(Math.max(0, leased - under.published));
      if (drafts.length === 0) return [];
      const ats = drafts.map(({ at }) => at);
      const texts = drafts.map(({ frame }, index) => stamped(frame, epoch, seq + 1 + index));
      const text = texts.join("");
      this.#refuseLarge(text);
      const entry = {
        epoch,
        seq: seq + texts.length,
        at: ats.at(-1) ?? 0,
        parts: partsOf(ats, texts),
        text,
        lineage,
        lease,
        leased: under === undefined ? leased : under.published + all.length,
      };
      const id = drafts[0]?.key;
      const stored = await this.#link.execute(nats => this.#log.append(nats, key, entry, after, id));
      if (stored?.duplicate === true) return [await this.#first(key, stored.stored)];
      if (stored !== undefined) {
        this.saw(key, { ...entry, stored: stored.stored });
        return drafts.map((_, index) => ({ epoch, seq: seq + 1 + index, duplicate: false }));
      }
      this.#heads.delete(key);
      if (performance.now() > until) throw brokerUnavailable();
    }
  }

  /** The position of the room; a room that does not exist begins here, with a marker that keeps its epoch. */
  open(key: string): Promise<RoomPosition> {
    return this.#inTurn(key, async () => {
      for (const until = performance.now() + this.#timeoutMs; performance.now() < until; ) {
        const head = await this.#look(key);
        if (head !== undefined && head.lineage >= this.#lineage.current) return head;
        await this.#mark(key, head === undefined ? this.#begin(undefined) : this.#inLineage(head));
      }
      throw brokerUnavailable();
    });
  }

  /** Makes a lease the room's latest one: publications under those before are refused from now on. */
  lease(key: string, token: string): Promise<void> {
    return this.#inTurn(key, async () => {
      for (const until = performance.now() + this.#timeoutMs; performance.now() < until; ) {
        const head = this.#inLineage((await this.#look(key)) ?? this.#begin(undefined));
        if (await this.#mark(key, { ...head, lease: token, leased: 0 })) return;
      }
      throw brokerUnavailable();
    });
  }

  /** Keeps the position of a room whose messages are too old, for the members that it has here. */
  keep(key: string, place: RoomPosition): Promise<void> {
    return this.#inTurn(key, async () => {
      await this.#mark(key, this.#inLineage(this.#heads.get(key) ?? this.#begin(place)));
    });
  }

  /** Bytes of the text of an entry that the server takes. @throws GatewayError BROKER_UNAVAILABLE */
  get #largest(): number {
    return (this.#link.nats.connection.info?.max_payload ?? 1 << 20) - headerRoom;
  }

  /** @throws GatewayError where the server would end the connection over the message */
  #refuseLarge(text: string): void {
    const most = this.#largest;
    if (text.length * 3 < most || Buffer.byteLength(text) < most) return;
    const message = `the message is larger than the broker takes, ${most} bytes`;
    throw gatewayError("REQUEST_TOO_LARGE", message);
  }

  /** @returns false where another entry is the room's last */
  async #mark(key: string, { epoch, seq, stored, lineage, lease, leased }: Head): Promise<boolean> {
    const entry = { epoch, seq, at: Date.now(), text: "", lineage, lease, leased };
    const marked = await this.#link.execute(nats => this.#log.append(nats, key, entry, stored, undefined));
    if (marked === undefined) this.#heads.delete(key);
    else this.saw(key, { ...entry, stored: marked.stored });
    return marked !== undefined;
  }

  async #look(key: string): Promise<Head | undefined> {
    const last = await this.#link.execute(nats => this.#log.last(nats, key));
    if (last !== undefined) this.saw(key, last);
    return last;
  }

  /** The position of the message that had the same id. */
  async #first(key: string, stored: number): Promise<Published> {
    const first = (await this.#link.execute(nats => this.#log.at(nats, stored))) ?? (await this.#look(key));
    if (first === undefined) throw brokerUnavailable();
    return { epoch: first.epoch, seq: first.seq, duplicate: true };
  }

  /** @param batch where that is what is written */
  async #inTurn<T>(key: string, run: () => Promise<T>, batch?: Batch): Promise<T> {
    const queue = this.#queues.get(key) ?? { tail: Promise.resolve(), waiting: 0, batch: undefined };
    this.#requireTurn(queue);
    this.#queues.set(key, queue);
    queue.waiting++;
    // Whether a key has been used is known of an entry as a whole.
    queue.batch = batch?.drafts[0]?.key === undefined ? batch : undefined;
    const begin = (): Promise<T> => {
      if (queue.batch === batch) queue.batch = undefined;
      return run();
    };
    const turn = queue.tail.then(begin).finally(() => {
      queue.waiting -= batch?.drafts.length ?? 1;
      if (queue.waiting === 0) this.#queues.delete(key);
    });
    queue.tail = turn.catch(() => undefined);
    return turn;
  }

  /** @throws GatewayError BROKER_UNAVAILABLE */
  #requireTurn({ waiting }: Queue): void {
    if (!this.#link.ready || waiting >= maxWaiting) throw brokerUnavailable();
  }

  #begin(place: RoomPosition | undefined): Head {
    const lineage = this.#lineage.current;
    return {
      epoch: place?.epoch ?? randomHex(6),
      seq: place?.seq ?? 0,
      stored: 0,
      lineage,
      lease: "",
      leased: 0,
    };
  }

  /** Where the room goes on: an epoch of a lineage that has ended is over. */
  #inLineage(head: Head): Head {
    return head.lineage >= this.#lineage.current ? head : { ...this.#begin(undefined), stored: head.stored };
  }
}
