import { gatewayError } from "../../status/failure.js";
import { randomHex } from "../../telemetry/ids.js";
import { brokerUnavailable, type Published, type RoomDraft, type RoomPosition, stamped } from "./broker.js";
import type { NatsLineage } from "./nats-lineage.js";
import type { NatsLink } from "./nats-link.js";
import type { LogEntry, NatsLog } from "./nats-log.js";

/** Where a room is, and the number in the stream of its last entry. */
export interface Head extends RoomPosition {
  readonly stored: number;
  readonly lineage: number;
  readonly lease: string;
}

/** Rooms whose heads are remembered without members here. */
const maxHeads = 10_000;
/** Messages that may wait for the one before in their room. */
const maxWaiting = 1000;
/** Bytes of the headers of a message at most. */
const headerRoom = 1024;

/**
 * Gives messages their positions. Each is appended behind the entry that its writer takes for the last of the room; where
 * another node was faster, the writer looks again. One message of a room at a time.
 */
export class NatsWriter {
  readonly #link: NatsLink;
  readonly #log: NatsLog;
  readonly #lineage: NatsLineage;
  readonly #timeoutMs: number;
  /** The known heads of rooms, the latest used last. A head that is out of date costs a round trip, no more. */
  readonly #heads = new Map<string, Head>();
  readonly #queues = new Map<string, { tail: Promise<unknown>; waiting: number }>();

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
    const { epoch, seq, at, text, stored, lineage, lease } = entry;
    this.#lineage.saw({ key, epoch, seq, at, text, stored });
    const known = this.#heads.get(key);
    if (known !== undefined && known.stored >= stored) return;
    this.#heads.delete(key);
    this.#heads.set(key, { epoch, seq, stored, lineage, lease });
    if (this.#heads.size <= maxHeads) return;
    const [oldest] = this.#heads.keys();
    if (oldest !== undefined) this.#heads.delete(oldest);
  }

  /**
   * @param continued the position after which the room continues if the stream has lost it: received here without a gap
   * @param token of the lease that it needs; undefined: none
   * @returns undefined where the latest lease of the room is another one
   * @throws GatewayError BROKER_UNAVAILABLE (rejects)
   */
  publish(
    key: string,
    draft: RoomDraft,
    continued: () => RoomPosition | undefined,
    token?: string,
  ): Promise<Published | undefined> {
    return this.#inTurn(key, async () => {
      for (const until = performance.now() + this.#timeoutMs; ; ) {
        const known = this.#heads.get(key) ?? (await this.#look(key)) ?? this.#begin(continued());
        const head = this.#inLineage(known);
        if (token !== undefined && head.lease !== token) return undefined;
        const seq = head.seq + 1;
        const text = stamped(draft.frame, head.epoch, seq);
        this.#refuseLarge(text);
        const entry = {
          epoch: head.epoch,
          seq,
          at: draft.at,
          text,
          lineage: head.lineage,
          lease: head.lease,
        };
        const stored = await this.#link.ask(nats =>
          this.#log.append(nats, key, entry, head.stored, draft.key),
        );
        if (stored?.duplicate === true) return this.#first(key, stored.stored);
        if (stored !== undefined) {
          this.saw(key, { ...entry, stored: stored.stored });
          return { epoch: head.epoch, seq, duplicate: false };
        }
        this.#heads.delete(key);
        if (performance.now() > until) throw brokerUnavailable();
      }
    });
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
        if (await this.#mark(key, { ...head, lease: token })) return;
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

  /** @throws GatewayError where the server would end the connection over the message */
  #refuseLarge(text: string): void {
    const most = (this.#link.nats.connection.info?.max_payload ?? 1 << 20) - headerRoom;
    if (text.length * 3 < most || Buffer.byteLength(text) < most) return;
    const message = `the message is larger than the broker takes, ${most} bytes`;
    throw gatewayError("REQUEST_TOO_LARGE", message);
  }

  /** @returns false where another entry is the room's last */
  async #mark(key: string, { epoch, seq, stored, lineage, lease }: Head): Promise<boolean> {
    const entry = { epoch, seq, at: Date.now(), text: "", lineage, lease };
    const marked = await this.#link.ask(nats => this.#log.append(nats, key, entry, stored, undefined));
    if (marked === undefined) this.#heads.delete(key);
    else this.saw(key, { ...entry, stored: marked.stored });
    return marked !== undefined;
  }

  async #look(key: string): Promise<Head | undefined> {
    const last = await this.#link.ask(nats => this.#log.last(nats, key));
    if (last !== undefined) this.saw(key, last);
    return last;
  }

  /** The position of the message that had the same id. */
  async #first(key: string, stored: number): Promise<Published> {
    const first = (await this.#link.ask(nats => this.#log.at(nats, stored))) ?? (await this.#look(key));
    if (first === undefined) throw brokerUnavailable();
    return { epoch: first.epoch, seq: first.seq, duplicate: true };
  }

  async #inTurn<T>(key: string, run: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(key) ?? { tail: Promise.resolve(), waiting: 0 };
    if (!this.#link.ready || queue.waiting >= maxWaiting) throw brokerUnavailable();
    this.#queues.set(key, queue);
    queue.waiting++;
    const turn = queue.tail.then(run).finally(() => {
      if (--queue.waiting === 0) this.#queues.delete(key);
    });
    queue.tail = turn.catch(() => undefined);
    return turn;
  }

  #begin(place: RoomPosition | undefined): Head {
    const lineage = this.#lineage.current;
    return { epoch: place?.epoch ?? randomHex(6), seq: place?.seq ?? 0, stored: 0, lineage, lease: "" };
  }

  /** Where the room goes on: an epoch of a lineage that has ended is over. */
  #inLineage(head: Head): Head {
    return head.lineage >= this.#lineage.current ? head : { ...this.#begin(undefined), stored: head.stored };
  }
}
