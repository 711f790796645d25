import { Cancellation } from "../../net/cancellation.js";
import { Code, codeName } from "../../status/code.js";
import { GatewayError } from "../../status/failure.js";
import type { Span } from "../../telemetry/tracing/span.js";
import { attemptsOf } from "../../upstream/attempt-spans.js";
import type { CallStatus, Channel, StreamHandle } from "../../upstream/channel.js";
import { maxTogether, type RoomDraft } from "../brokers/broker.js";
import { requireTurn } from "../rooms/delivery.js";
import type { LocalHub } from "../rooms/local-hub.js";
import type { FeedPlan } from "./compile-feeds.js";
import { type Cursors, cursorOf } from "./cursors.js";
import type { FeedMetrics } from "./feed-metrics.js";

/** A room, and the lease under which this node feeds it. */
export interface FeedLease {
  readonly room: string;
  readonly token: string;
  /** How many messages were published under it, or left out. */
  published: number;
  /** Whether more were published is not known: only another lease can tell. */
  uncertain: boolean;
  /** Of the messages that are kept; undefined where they have none, or nobody has looked. */
  cursors: Cursors | undefined;
}

export interface FeedStreamOwner {
  readonly hub: LocalHub;
  readonly metrics: FeedMetrics;
  /** Now, which a reload may have changed. */
  readonly plan: FeedPlan;
  /** The backend has accepted the call. */
  opened(): void;
  /** A message could not be published as it is. */
  dropped(result: "too_large" | "malformed", error: unknown): void;
  /** The store has refused a message: another node feeds the room. */
  lost(): void;
}

/** Milliseconds until messages are published again that the broker or the room did not take. */
const retryPause = 100;
/** Bytes of messages that are published together, and of those that may wait for that, about. */
const maxBatchBytes = 256 * 1024;
/** Bytes that a message takes beside its own, about. */
const messageOverhead = 64;

/**
 * One stream of a backend. Its messages are published in their order: those that come while others are on their way to
 * the broker wait, and go together. Where too much waits, nothing is read from the backend.
 */
export class FeedStream {
  /** How it ended. Never rejects. */
  readonly ended: Promise<CallStatus>;
  readonly #owner: FeedStreamOwner;
  readonly #lease: FeedLease;
  readonly #cancellation = new Cancellation();
  #handle: StreamHandle | undefined;
  #opened = false;
  /** Messages that are to be published. */
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #paused = false;
  /** Undefined where it is not recorded. */
  readonly #span: Span | undefined;
  /** Until nothing waits. */
  #publishing: Promise<void> | undefined;

  /** @param request as the plan makes it */
  constructor(owner: FeedStreamOwner, lease: FeedLease, channel: Channel, request: Uint8Array) {
    this.#owner = owner;
    this.#lease = lease;
    const { path, upstream } = owner.plan;
    const span = owner.hub.fanOut.traces?.tracer.root(`feed ${path.slice(1)}`);
    span?.set("messaging.destination.name", lease.room);
    this.#span = span;
    this.ended = new Promise<CallStatus>(resolve => {
      const handle = channel.stream({
        path,
        metadata: [],
        timeout: undefined,
        cancellation: this.#cancellation,
        trace: attemptsOf(span, path, upstream),
        onHeaders: () => this.#open(),
        onMessage: message => this.#receive(message),
        onEnd: status => {
          const end = (): void => {
            if (this.#opened) owner.metrics.open--;
            if (status.code !== Code.OK && !this.#cancellation.cancelled) span?.fail(codeName(status.code));
            span?.end();
            resolve(status);
          };
          if (this.#publishing === undefined) end();
          else void this.#publishing.then(end);
        },
      });
      this.#handle = handle;
      handle.send(request);
      handle.end();
    });
  }

  /** Nothing more is published, except for what the broker has been given. */
  cancel(): void {
    this.#cancellation.cancel();
  }

  #open(): void {
    if (this.#opened) return;
    this.#opened = true;
    this.#owner.metrics.open++;
    this.#owner.opened();
  }

  #receive(message: Uint8Array): void {
    if (this.#cancellation.cancelled) return;
    this.#open();
    this.#waiting.push(message);
    this.#waitingBytes += message.length + messageOverhead;
    if (this.#waitingBytes > maxBatchBytes && !this.#paused) {
      this.#paused = true;
      this.#handle?.pause();
    }
    this.#publishing ??= this.#publishAll();
  }

  /** Publishes what waits, and what comes meanwhile. Never rejects. */
  async #publishAll(): Promise<void> {
    do {
      await this.#publish(await this.#nextBatch());
    } while (this.#waiting.length > 0 && !this.#cancellation.cancelled);
    this.#publishing = undefined;
  }

  /** The messages that are published together next. */
  async #nextBatch(): Promise<readonly RoomDraft[]> {
    const drafts: RoomDraft[] = [];
    // A reload that cancels the stream may have replaced the plan, too.
    for (let bytes = 0; drafts.length < maxTogether && !this.#cancellation.cancelled; ) {
      const [message] = this.#waiting;
      if (message === undefined) break;
      const size = message.length + messageOverhead;
      if (bytes > 0 && bytes + size > maxBatchBytes) break;
      bytes += size;
      this.#waiting.shift();
      this.#waitingBytes -= size;
      const draft = await this.#draft(message);
      if (draft !== undefined) drafts.push(draft);
    }
    if (this.#paused && this.#waitingBytes <= maxBatchBytes / 2) {
      this.#paused = false;
      this.#handle?.resume();
    }
    return drafts;
  }

  /** @returns undefined where it is left out */
  async #draft(message: Uint8Array): Promise<RoomDraft | undefined> {
    const { plan, hub, metrics } = this.#owner;
    let data: string;
    try {
      data = await plan.output.decodeInTurns(message);
    } catch (error) {
      this.#owner.dropped("malformed", error);
      return undefined;
    }
    const { cursors } = this.#lease;
    const cursor = plan.cursor === undefined ? undefined : cursorOf(JSON.parse(data), plan.cursor);
    if (cursor !== undefined && cursors?.has(cursor)) {
      metrics.messages.duplicate.inc();
      return undefined;
    }
    try {
      const draft = hub.draft(this.#lease.room, JSON.stringify(plan.from), { event: plan.event, data });
      if (cursor !== undefined) cursors?.add(cursor);
      return draft;
    } catch (error) {
      this.#owner.dropped("too_large", error);
      return undefined;
    }
  }

  /** Tries until it works, or the stream is cancelled. */
  async #publish(drafts: readonly RoomDraft[]): Promise<void> {
    const lease = this.#lease;
    const { metrics } = this.#owner;
    let together = drafts.length;
    for (let next = 0; next < drafts.length; ) {
      const batch = drafts.slice(next, next + together);
      try {
        if (!(await this.#give(batch))) {
          metrics.messages.refused.value += drafts.length - next;
          this.cancel();
          this.#owner.lost();
          return;
        }
        metrics.messages.published.value += batch.length;
      } catch (error) {
        if (!isTooLarge(error)) {
          await new Promise(resolve => setTimeout(resolve, retryPause));
          lease.uncertain = this.#cancellation.cancelled;
          if (lease.uncertain) return;
          continue;
        }
        if (batch.length > 1) {
          together = 1;
          continue;
        }
        this.#owner.dropped("too_large", error);
      }
      lease.published += batch.length;
      next += batch.length;
    }
  }

  /** @throws GatewayError TOO_MANY_PENDING where members are still to be sent too much, and as `BrokerLeases.publish` */
  #give(batch: readonly RoomDraft[]): boolean | Promise<boolean> {
    const { hub } = this.#owner;
    const { room, token, published } = this.#lease;
    requireTurn(hub.room(room), undefined);
    const publish = () => hub.broker.leases.publish(room, batch, token, published);
    const { traces } = hub.fanOut;
    if (traces === undefined) return publish();
    return traces.publish(room, undefined, publish, span => {
      span.set("messaging.batch.message_count", batch.length);
      if (this.#span !== undefined) span.link(this.#span);
    });
  }
}

/** Whether the broker takes no message of that size. */
function isTooLarge(error: unknown): boolean {
  return error instanceof GatewayError && error.failure.reason === "REQUEST_TOO_LARGE";
}

/** Codes of calls that will fail again, until somebody changes the backend or the configuration. */
export function isPermanent(code: number): boolean {
  return permanent.has(code);
}

const permanent: ReadonlySet<number> = new Set([
  Code.INVALID_ARGUMENT,
  Code.NOT_FOUND,
  Code.PERMISSION_DENIED,
  Code.UNAUTHENTICATED,
  Code.FAILED_PRECONDITION,
  Code.OUT_OF_RANGE,
  Code.UNIMPLEMENTED,
]);
