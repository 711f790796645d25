import { Code, codeName } from "../../status/code.js";
import { Backoff } from "../../upstream/backoff.js";
import { type CallStatus, type Channel, statusDetail } from "../../upstream/channel.js";
import type { LocalHub } from "../rooms/local-hub.js";
import type { FeedPlan } from "./compile-feeds.js";
import { Cursors, cursorOf, maxCursors } from "./cursors.js";
import type { FeedMetrics } from "./feed-metrics.js";
import { type FeedLease, FeedStream, type FeedStreamOwner, isPermanent } from "./feed-stream.js";

/** What a fed room needs of all of them. */
export interface FedRoomOwner {
  readonly hub: LocalHub;
  readonly metrics: FeedMetrics;
  /** The channel of an upstream now; undefined where a reload has removed it. */
  channel(upstream: string): Channel | undefined;
  parts(room: string): ReadonlyMap<string, string>;
  /** Takes one of the streams that this process may have; false where there is none: `proceed` follows. */
  take(room: FedRoom): boolean;
  give(): void;
}

/** Milliseconds between two attempts to open a stream that ended. */
const firstPause = 500;
const longestPause = 30_000;
/** Those where trying again does not help by itself. */
const permanentPause = 60_000;
/** A stream that was open for so long begins again with the first pause. */
const settledMs = 5000;
/** Milliseconds after the end of another's lease in which nodes try to acquire it. */
const spreadMs = 500;
/** Messages of history that are read in one turn. */
const readInTurn = 100;

/**
 * A room of this node that a stream feeds.
 *
 *   waiting ──── lease acquired ────► feeding: a stream is open, or waits to be opened again
 *      ▲                                  │
 *      └── another node has the lease ────┘
 *
 * It ends by `stop`, and releases the lease that it has.
 */
export class FedRoom implements FeedStreamOwner {
  readonly name: string;
  readonly hub: LocalHub;
  readonly metrics: FeedMetrics;
  /** Resolves when it has stopped. */
  readonly ended: Promise<void>;
  readonly #owner: FedRoomOwner;
  #plan: FeedPlan;
  #stopped = false;
  #lease: FeedLease | undefined;
  #stream: FeedStream | undefined;
  /** Ends the pause that it is in. */
  #wake: (() => void) | undefined;
  /** Members were notified that the stream is interrupted, or may have missed messages at a takeover. */
  #interrupted = false;
  /** A message could not be published, which was logged. */
  #refused = false;
  /** The lease was released since it was last requested. */
  #vacant = false;

  constructor(owner: FedRoomOwner, name: string, plan: FeedPlan) {
    this.#owner = owner;
    this.hub = owner.hub;
    this.metrics = owner.metrics;
    this.name = name;
    this.#plan = plan;
    this.ended = this.#run();
  }

  get plan(): FeedPlan {
    return this.#plan;
  }

  /** The stream is opened anew where the plan opens another one. */
  set plan(plan: FeedPlan) {
    const changed = plan.signature !== this.#plan.signature;
    this.#plan = plan;
    if (!changed) return;
    this.#stream?.cancel();
    this.#wake?.();
  }

  /** The lease was released: another node does not feed the room any more. */
  vacated(): void {
    this.#vacant = true;
    this.proceed();
  }

  /** Tries to acquire the lease now. */
  proceed(): void {
    if (this.#lease === undefined) this.#wake?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#stream?.cancel();
    this.#wake?.();
  }

  opened(): void {
    if (this.#interrupted) this.#notify("resumed");
    this.#interrupted = false;
  }

  dropped(result: "too_large" | "malformed", error: unknown): void {
    this.metrics.messages[result].inc();
    if (this.#refused) return;
    this.#refused = true;
    this.hub.log(error, `a message of the stream that feeds the room ${this.#shown} was not published`);
  }

  lost(): void {
    if (this.#lease === undefined) return;
    this.#lease = undefined;
    this.hub.logger?.warn(
      { room: this.name },
      "another gateway feeds the room, since this one did not renew its lease in time",
    );
    this.#stream?.cancel();
    this.#wake?.();
  }

  async #run(): Promise<void> {
    // Whoever opened the room goes on first.
    await Promise.resolve();
    while (!this.#stopped) {
      const token = await this.#acquire();
      if (token === undefined) continue;
      const lease = { room: this.name, token, published: 0, uncertain: false, cursors: undefined };
      this.#lease = lease;
      this.metrics.feeding++;
      const renewal = this.#renewal(lease);
      try {
        await this.#feed(lease);
      } finally {
        clearInterval(renewal);
        this.metrics.feeding--;
        this.#owner.give();
        await this.#release(token);
        this.#lease = undefined;
      }
    }
  }

  /** @returns undefined where it has to be tried again */
  async #acquire(): Promise<string | undefined> {
    const { leases } = this.hub.broker;
    if (!this.#owner.take(this)) {
      await this.#pause(leases.leaseMs / 3);
      return undefined;
    }
    try {
      this.#vacant = false;
      const result = await leases.acquire(this.name);
      if ("token" in result) {
        if (this.#interrupted) this.metrics.takeovers.inc();
        return result.token;
      }
      this.#owner.give();
      // If it ever becomes free, its members may miss something.
      this.#interrupted = true;
      if (!this.#vacant) await this.#pause(result.heldMs + spreadMs * Math.random());
    } catch {
      this.#owner.give();
      await this.#pause(firstPause * (1 + Math.random()));
    }
    return undefined;
  }

  #renewal(lease: FeedLease): NodeJS.Timeout {
    const { leases } = this.hub.broker;
    let until = performance.now() + leases.leaseMs;
    const renew = async (): Promise<void> => {
      const now = performance.now();
      let renewed: boolean;
      try {
        renewed = await leases.renew(this.name, lease.token);
        if (renewed) until = now + leases.leaseMs;
      } catch {
        // While the broker is away nobody can publish; another node may be able to reach it.
        renewed = performance.now() < until;
      }
      if (!renewed && this.#lease === lease) this.lost();
    };
    return setInterval(() => void renew(), leases.leaseMs / 3).unref();
  }

  async #release(token: string): Promise<void> {
    try {
      await this.hub.broker.leases.release(this.name, token);
    } catch {
      // It ends by itself.
    }
  }

  /** Keeps a stream open while this node has the lease, and knows what was published under it. */
  async #feed(lease: FeedLease): Promise<void> {
    const pauses = new Backoff(firstPause, longestPause);
    while (!this.#stopped && this.#lease === lease) {
      const { signature } = this.#plan;
      const started = performance.now();
      const status = await this.#streamOnce(lease);
      if (this.#stopped || this.#lease !== lease || lease.uncertain) return;
      if (signature !== this.#plan.signature) {
        lease.cursors = undefined;
        continue;
      }
      this.metrics.ended(status.code);
      if (performance.now() - started > settledMs) pauses.reset();
      if (!this.#interrupted) this.#notify("interrupted");
      this.#interrupted = true;
      const pause = isPermanent(status.code) ? permanentPause * (0.5 + Math.random() / 2) : pauses.next();
      this.#logEnd(status, pause);
      await this.#pause(pause);
    }
  }

  async #streamOnce(lease: FeedLease): Promise<CallStatus> {
    const plan = this.#plan;
    const channel = this.#owner.channel(plan.upstream);
    if (channel === undefined)
      return { code: Code.UNAVAILABLE, message: "there is no such upstream", origin: "connect" };
    let request: Uint8Array;
    try {
      if (plan.cursor !== undefined) lease.cursors ??= await this.#cursors(plan, plan.cursor);
      request = plan.request(this.name, this.#owner.parts(this.name), lease.cursors?.last);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { code: Code.INVALID_ARGUMENT, message, origin: "request" };
    }
    if (this.#stopped || this.#lease !== lease) return cancelled;
    const stream = new FeedStream(this, lease, channel, request);
    this.#stream = stream;
    const status = await stream.ended;
    this.#stream = undefined;
    return status;
  }

  /** Those of the messages of the feed that are kept. */
  async #cursors({ from, event }: FeedPlan, member: string): Promise<Cursors> {
    const bounds = this.hub.kinds.historyOf(this.name) ?? { messages: 0, ttl: 0 };
    const cursors = new Cursors(bounds);
    const kept = await this.hub.broker.history(this.name, Math.min(bounds.messages, maxCursors));
    for (const [index, { text, at }] of kept.entries()) {
      if (index % readInTurn === readInTurn - 1) await new Promise(resolve => setImmediate(resolve));
      const frame = JSON.parse(text) as { from?: unknown; event?: unknown; data?: unknown };
      const cursor = frame.from === from && frame.event === event ? cursorOf(frame.data, member) : undefined;
      if (cursor !== undefined) cursors.add(cursor, at);
    }
    return cursors;
  }

  /** Members on all nodes. */
  #notify(state: "interrupted" | "resumed"): void {
    const frame = JSON.stringify({ type: "feed", room_id: this.name, state });
    const draft = { frame, kept: false, key: undefined, except: undefined, at: Date.now() };
    try {
      const sent = this.hub.broker.publish(this.name, draft);
      if (sent instanceof Promise) sent.catch(() => this.hub.metrics.brokerFailures.inc());
    } catch {
      this.hub.metrics.brokerFailures.inc();
    }
  }

  #logEnd(status: CallStatus, pause: number): void {
    const { upstream, path } = this.#plan;
    const about = { room: this.name, upstream, method: path.slice(1), code: codeName(status.code) };
    const detail = status.origin === undefined ? {} : { detail: statusDetail(status) };
    const text = `the stream that feeds the room has ended; it is opened again in ${(pause / 1000).toFixed(1)} s`;
    if (isPermanent(status.code)) this.hub.logger?.error({ ...about, ...detail }, text);
    else this.hub.logger?.warn({ ...about, ...detail }, text);
  }

  get #shown(): string {
    return JSON.stringify(this.name);
  }

  /** @param ms or until it is woken */
  async #pause(ms: number): Promise<void> {
    if (this.#stopped) return;
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }
}

const cancelled: CallStatus = {
  code: Code.CANCELLED,
  message: "the stream is not needed",
  origin: "cancelled",
};
