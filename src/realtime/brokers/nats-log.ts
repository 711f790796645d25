import {
  AckPolicy,
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type StoredMsg,
} from "@nats-io/jetstream";
import { createInbox, headers, type Msg, type MsgHdrs } from "@nats-io/transport-node";
import { randomHex } from "../../telemetry/ids.js";
import type { HistoryLimits, Message, RoomPosition } from "./broker.js";
import type { Nats, StreamNeeds } from "./nats-link.js";

/**
 * An entry of a room's subject: messages, or a marker that keeps the position of a room without messages. The position
 * is that of its last message.
 */
export interface LogEntry extends RoomPosition {
  readonly kind: "message" | "mark";
  /** The room, as `roomKey` writes it. */
  readonly key: string;
  /** Number in the stream, which all rooms share. */
  readonly stored: number;
  /** Of its last message; milliseconds since 1970. */
  readonly at: number;
  /** Of several messages, in order, time and characters of each: `1700000000000:120 1700000000001:98`; else empty. */
  readonly parts: string;
  /** When the server has stored it, by its clock; 0 where that is missing. */
  readonly storedAt: number;
  /** That of its writer: see `NatsLineage`. */
  readonly lineage: number;
  /** The token of the room's latest lease, empty where there was none, and how many messages were published under it. */
  readonly lease: string;
  readonly leased: number;
  readonly subject: string;
  /** Of all messages. */
  readonly text: string;
}

const EPOCH = "Protogate-Epoch";
const SEQ = "Protogate-Seq";
const AT = "Protogate-At";
const PARTS = "Protogate-Parts";
const LINEAGE = "Protogate-Lineage";
const LEASE = "Protogate-Lease";
const STORED = "Nats-Sequence";
/** Set instead of the text where only headers were requested. */
const SIZE = "Nats-Msg-Size";

/** Seconds until the server forgets a reader that stopped to read. */
const readerLife = 10;
const nanos = 1_000_000_000;

/** Entries that a room may have beside its messages: marks of its position and of leases. */
const maxMarks = 16;

/** @param grace how much longer than their messages entries are kept, milliseconds */
export function roomsStream(prefix: string, history: HistoryLimits, grace: number): StreamNeeds {
  return {
    name: `${prefix}_rooms`,
    subjects: [`${prefix}.in.>`],
    storage: "file",
    messagesOfSubject: history.messages + maxMarks,
    maxAge: history.ttl + grace,
    maxBytes: history.maxBytes,
    duplicates: history.ttl,
    republish: { src: `${prefix}.in.>`, dest: `${prefix}.out.>` },
  };
}

/** The rooms' messages in one JetStream stream, a subject for each room. */
export class NatsLog {
  readonly #stream: string;
  readonly #subjects: string;
  readonly #timeoutMs: number;

  /** @param subjects the prefix of the subjects of rooms, `prefix.in.` */
  constructor(stream: string, subjects: string, timeoutMs: number) {
    this.#stream = stream;
    this.#subjects = subjects;
    this.#timeoutMs = timeoutMs;
  }

  /** The last entry of a room; undefined where it has none. */
  async last({ streams }: Nats, key: string): Promise<LogEntry | undefined> {
    const stored = await streams.streams.getMessage(this.#stream, { last_by_subj: this.#subjects + key });
    return stored === null ? undefined : ofStored(stored);
  }

  /** The entry with a number in the stream; undefined where it is not kept any more. */
  async at({ streams }: Nats, seq: number): Promise<LogEntry | undefined> {
    const stored = await streams.streams.getMessage(this.#stream, { seq });
    return stored === null ? undefined : ofStored(stored);
  }

  /** Removes the entry with a number in the stream. */
  async remove({ streams }: Nats, seq: number): Promise<void> {
    await streams.streams.deleteMessage(this.#stream, seq, false);
  }

  /**
   * Appends an entry behind one that must be the room's last.
   * @param after number in the stream of that one, 0 where there must be none
   * @param id entries with an id that is remembered are not stored again
   * @returns the number in the stream of the entry, or of the first with that id; undefined where another was last
   */
  async append(
    { messages }: Nats,
    key: string,
    entry: Pick<LogEntry, "epoch" | "seq" | "at" | "text" | "lineage"> &
      Partial<Pick<LogEntry, "lease" | "leased" | "parts">>,
    after: number,
    id: string | undefined,
  ): Promise<{ readonly stored: number; readonly duplicate: boolean } | undefined> {
    const head = headers();
    head.set(EPOCH, entry.epoch);
    head.set(SEQ, String(entry.seq));
    head.set(AT, String(entry.at));
    if (entry.lineage > 0) head.set(LINEAGE, String(entry.lineage));
    if (entry.lease) head.set(LEASE, `${entry.lease} ${entry.leased ?? 0}`);
    if (entry.parts) head.set(PARTS, entry.parts);
    try {
      const ack = await messages.publish(this.#subjects + key, entry.text, {
        headers: head,
        expect: { lastSubjectSequence: after },
        timeout: this.#timeoutMs,
        ...(id === undefined ? {} : { msgID: `${key}.${id}` }),
      });
      return { stored: ack.seq, duplicate: ack.duplicate };
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamWrongLastSequence) {
        return undefined;
      }
      throw error;
    }
  }

  /**
   * Reads entries in their order, at most `limit`.
   * @param each all entries that the filter matches, or the last one of each subject without its text
   */
  async read(nats: Nats, filter: string, each: "all" | "last", limit: number): Promise<LogEntry[]> {
    const { connection, streams } = nats;
    const inbox = createInbox();
    const name = `protogate-${randomHex(8)}`;
    const found: LogEntry[] = [];
    let expected = Number.POSITIVE_INFINITY;
    let arrived = (): void => undefined;
    const done = new Promise<void>(resolve => {
      arrived = () => {
        if (found.length >= expected) resolve();
      };
    });
    const subscription = connection.subscribe(inbox, {
      callback: (_, message) => {
        if (found.length < limit) found.push(ofDelivered(message));
        arrived();
      },
    });
    let timer: NodeJS.Timeout | undefined;
    try {
      const info = await streams.consumers.add(this.#stream, {
        name,
        deliver_subject: inbox,
        ack_policy: AckPolicy.None,
        deliver_policy: each === "all" ? DeliverPolicy.All : DeliverPolicy.LastPerSubject,
        filter_subject: this.#subjects + filter,
        headers_only: each === "last",
        inactive_threshold: readerLife * nanos,
        mem_storage: true,
      });
      // Delivered messages are not pending any more.
      expected = Math.min(limit, info.num_pending + info.delivered.consumer_seq);
      arrived();
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error("the history did not arrive in time")), this.#timeoutMs);
      });
      await Promise.race([done, late]);
      return found;
    } finally {
      clearTimeout(timer);
      subscription.unsubscribe();
      streams.consumers.delete(this.#stream, name).catch(() => undefined);
    }
  }
}

/** An entry as the stream republishes it to subscribers; undefined for anything else. */
export function ofRepublished(message: Msg): LogEntry | undefined {
  const stored = Number(message.headers?.get(STORED));
  return stored > 0 ? entryOf(message, message.headers, stored) : undefined;
}

/** The messages of an entry, in order. */
export function messagesOf({ epoch, seq, at, parts, text }: LogEntry): readonly Message[] {
  if (parts === "") return [{ epoch, seq, at, text }];
  const words = parts.split(" ");
  let start = 0;
  return words.map((word, index) => {
    const colon = word.indexOf(":");
    const end = start + Number(word.slice(colon + 1));
    const part = text.slice(start, end);
    start = end;
    return { epoch, seq: seq - words.length + 1 + index, at: Number(word.slice(0, colon)), text: part };
  });
}

/** `LogEntry.parts` */
export function partsOf(ats: readonly number[], texts: readonly string[]): string {
  return texts.length === 1 ? "" : texts.map((text, index) => `${ats[index]}:${text.length}`).join(" ");
}

function ofStored(message: StoredMsg): LogEntry {
  return entryOf(message, message.header, message.seq, message.time.getTime());
}

/** Number and time stand in the reply subject, `$JS.ACK.<stream>.<consumer>.<times>.<stream seq>.<consumer seq>.<nanoseconds>.<pending>` */
function ofDelivered(message: Msg): LogEntry {
  const words = (message.reply ?? "").split(".");
  return entryOf(message, message.headers, Number(words.at(-4)), Number(words.at(-2)) / 1e6);
}

function entryOf(
  message: { readonly subject: string; string(): string },
  head: MsgHdrs | undefined,
  stored: number,
  storedAt = 0,
): LogEntry {
  const text = message.string();
  const [lease = "", leased] = (head?.get(LEASE) ?? "").split(" ");
  const size = head?.has(SIZE) ? Number(head.get(SIZE)) : text.length;
  return {
    kind: size === 0 ? "mark" : "message",
    key: message.subject.slice(message.subject.lastIndexOf(".") + 1),
    epoch: head?.get(EPOCH) ?? "",
    seq: Number(head?.get(SEQ)),
    at: Number(head?.get(AT)),
    parts: head?.get(PARTS) ?? "",
    stored,
    storedAt,
    lineage: Number(head?.get(LINEAGE) || 0),
    lease,
    leased: Number(leased ?? 0),
    subject: message.subject,
    text,
  };
}
