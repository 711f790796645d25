import { createHash } from "node:crypto";
import { Cancellation } from "../../net/cancellation.js";
import { Code } from "../../status/code.js";
import { GatewayError } from "../../status/failure.js";
import type { CallStatus, Channel, StreamHandle } from "../../upstream/channel.js";
import { keyText } from "../chat/frame-reader.js";
import type { LocalHub } from "../rooms/local-hub.js";
import type { FeedPlan } from "./compile-feeds.js";
import type { FeedMetrics } from "./feed-metrics.js";

/** A room, and the lease under which this node feeds it. */
export interface FeedLease {
  readonly room: string;
  readonly token: string;
  /** How many messages were published under it. */
  published: number;
  /** The cursor of the last message that was published, under this lease or an earlier one; undefined: none is known. */
  cursor: string | undefined;
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

/** Milliseconds until a message is published again that the broker or the room did not take. */
const retryPause = 100;

/**
 * One stream of a backend. Its messages are published one after the other: while one of them waits for the broker, nothing
 * is read from the backend.
 */
export class FeedStream {
  /** How it ended. Never rejects. */
  readonly ended: Promise<CallStatus>;
  readonly #owner: FeedStreamOwner;
  readonly #lease: FeedLease;
  readonly #cancellation = new Cancellation();
  #handle: StreamHandle | undefined;
  #opened = false;
  /** The message that is being published, where that takes time. */
  #publishing: Promise<void> | undefined;

  /** @param request as the plan makes it */
  constructor(owner: FeedStreamOwner, lease: FeedLease, channel: Channel, request: Uint8Array) {
    this.#owner = owner;
    this.#lease = lease;
    this.ended = new Promise<CallStatus>(resolve => {
      const handle = channel.stream({
        path: owner.plan.path,
        metadata: [],
        timeout: undefined,
        cancellation: this.#cancellation,
        onHeaders: () => this.#open(),
        onMessage: message => this.#receive(message),
        onEnd: status => {
          const end = (): void => {
            if (this.#opened) owner.metrics.open--;
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
    this.#open();
    // Messages that have been read already come even though the stream is paused.
    if (this.#publishing !== undefined) {
      this.#wait(this.#publishing.then(() => this.#publish(message)));
      return;
    }
    const publishing = this.#publish(message);
    if (publishing !== undefined) this.#wait(publishing);
  }

  #wait(publishing: Promise<void>): void {
    this.#publishing = publishing;
    this.#handle?.pause();
    void publishing.then(() => {
      if (this.#publishing !== publishing) return;
      this.#publishing = undefined;
      this.#handle?.resume();
    });
  }

  /** @returns a promise, which does not reject, where it is not published at once */
  #publish(message: Uint8Array): Promise<void> | undefined {
    if (this.#cancellation.cancelled) return undefined;
    const { output } = this.#owner.plan;
    try {
      const text = output.decodeInTurns(message);
      return text instanceof Promise
        ? text.then(
            data => this.#send(data),
            error => this.#malformed(error),
          )
        : this.#send(text);
    } catch (error) {
      this.#malformed(error);
      return undefined;
    }
  }

  #malformed(error: unknown): void {
    this.#owner.dropped("malformed", error);
  }

  #send(data: string): Promise<void> | undefined {
    const { plan, hub } = this.#owner;
    const cursor = plan.cursor === undefined ? undefined : cursorOf(data, plan.cursor);
    const number = this.#lease.published + 1;
    // What a broker elsewhere was given may have arrived though nobody has learned of it. Keys of members have no spaces.
    const own = hub.broker.presence === undefined ? undefined : `feed ${this.#lease.token} ${number}`;
    const sending = {
      key: cursor === undefined ? own : keyOf(cursor),
      lease: this.#lease.token,
    };
    const attempt = () =>
      hub.send(this.#lease.room, JSON.stringify(plan.from), { event: plan.event, data }, sending);
    const done = (published: Awaited<ReturnType<typeof attempt>>): void => {
      if (published === undefined) {
        this.#owner.metrics.messages.refused.inc();
        this.cancel();
        this.#owner.lost();
        return;
      }
      this.#lease.published = number;
      if (cursor !== undefined) this.#lease.cursor = cursor;
      this.#owner.metrics.messages[published.duplicate ? "duplicate" : "published"].inc();
    };
    try {
      const published = attempt();
      if (!(published instanceof Promise)) {
        done(published);
        return undefined;
      }
      return published.then(done, error => this.#again(attempt, done, error));
    } catch (error) {
      return this.#again(attempt, done, error);
    }
  }

  /** Tries to publish until it works, or the stream is cancelled. */
  async #again<T>(attempt: () => T | Promise<T>, done: (result: T) => void, error: unknown): Promise<void> {
    for (let failure = error; ; ) {
      const reason = failure instanceof GatewayError ? failure.failure.reason : undefined;
      if (reason === "BODY_TOO_LARGE" || reason === "REQUEST_TOO_LARGE") {
        this.#owner.dropped("too_large", failure);
        return;
      }
      await new Promise(resolve => setTimeout(resolve, retryPause));
      if (this.#cancellation.cancelled) return;
      try {
        done(await attempt());
        return;
      } catch (next) {
        failure = next;
      }
    }
  }
}

/** The value of a member of a JSON object, a string or an integer; undefined where it has none, or its default. */
export function cursorOf(data: string, name: string): string | undefined {
  const value = (JSON.parse(data) as Readonly<Record<string, unknown>> | null)?.[name];
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

/** The key of the message with a cursor, in characters that every broker takes. */
export function keyOf(cursor: string): string {
  return `feed ${keyText.test(cursor) ? cursor : createHash("sha256").update(cursor).digest("hex")}`;
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
