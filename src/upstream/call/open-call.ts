import { performance } from "node:perf_hooks";
import { errorMessage } from "../../net/error-text.js";
import { Linked } from "../../net/ring.js";
import { Code } from "../../status/code.js";
import type { Endpoint } from "../balancing/endpoint.js";
import {
  type AttemptTrace,
  type CallOptions,
  type CallStatus,
  type Metadata,
  noMetadata,
} from "../channel.js";
import type { UpstreamObserver } from "../options.js";
import type { RpcProtocol } from "../protocols.js";
import type { AttemptProgress, StreamOutcome, TransportListener, TransportStream } from "../transport.js";
import { Deadlines, type Expiring } from "./deadlines.js";
import { type RefusalKind, Refusals } from "./refusals.js";
import type { RetryPolicy } from "./retry.js";

/** The part of a channel that a call needs. */
export interface CallHost {
  readonly protocol: RpcProtocol;
  readonly maxMessageSize: number;
  /** See `TransportCall`. */
  readonly compressFrom: number | undefined;
  readonly retry: RetryPolicy | undefined;
  readonly observer: UpstreamObserver | undefined;
  /** See `Balancer.pick`. */
  pick(avoid: readonly Endpoint[]): Endpoint | undefined;
  /** Resolves when `pick` may find an endpoint; undefined where waiting does not help. */
  resolving(): Promise<unknown> | undefined;
  /** Why `pick` finds nothing. */
  unavailable(): string;
  /** A call is over. */
  callEnded(): void;
}

/** Milliseconds from which on a deadline needs no timer of its own. */
const timerBelowMs = 1000;

/** The far deadlines of all calls. Only its own timer and the methods of calls use it, each without an await. */
const deadlines = new Deadlines();

const noEndpoints: Endpoint[] = [];

/** Bytes of sent messages that a stream keeps, so that it can begin again. */
export const maxReplay = 64 * 1024;

/**
 * A call under way: its deadline, its cancellation, and its endpoint. A call that the backend certainly
 * did not process is sent again by itself, whether or not it may be repeated (RFC 9113 §6.8, gRFC A6).
 */
export abstract class OpenCall extends Linked implements TransportListener, Expiring {
  protected readonly host: CallHost;
  protected stream: TransportStream | undefined;
  /** How often the call was sent, the attempt under way not counted. */
  protected attempts = 0;
  readonly #options: CallOptions;
  readonly #started = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #endpoint: Endpoint | undefined;
  #tried: Endpoint[] = noEndpoints;
  #refusals: Partial<Record<RefusalKind, Refusals>> | undefined;
  /** The attempt that was refused last. */
  #refused: TransportStream | undefined;
  /** Of the attempt under way, where the call is traced. */
  #trace: AttemptTrace | undefined;
  #over = false;

  protected constructor(host: CallHost, options: CallOptions) {
    super();
    this.host = host;
    this.#options = options;
    host.observer?.started(this.#countedAs);
  }

  /** An attempt begins: sends the messages that are there and reads. */
  protected abstract startAttempt(stream: TransportStream): void;
  /** True while nothing would be lost if the call began anew: all that was sent of it is kept, and no response has come. */
  protected abstract restartable(): boolean;
  /** An attempt ended; calls `restartAfter` or `finish`. */
  protected abstract attemptEnded(outcome: StreamOutcome): void;
  /** Gives the caller the outcome; called exactly once. */
  protected abstract deliver(status: CallStatus, trailers: Metadata, seconds: number): void;

  abstract onHeaders(headers: Metadata): void;
  abstract onMessage(message: Uint8Array): void;
  abstract onWritten(): void;

  get #countedAs(): string {
    return this.#options.countedAs ?? this.#options.path;
  }

  /** See `TransportCall`; of this call. */
  protected get compressFrom(): number | undefined {
    return this.host.compressFrom;
  }

  protected get over(): boolean {
    return this.#over;
  }

  get deadline(): number {
    return this.#started + (this.#options.timeout ?? Number.POSITIVE_INFINITY);
  }

  /** Milliseconds until the deadline. */
  protected get remaining(): number {
    return this.#options.timeout === undefined ? Number.POSITIVE_INFINITY : this.deadline - performance.now();
  }

  protected begin(): void {
    const { timeout, cancellation } = this.#options;
    cancellation.listen(() =>
      this.abort({ code: Code.CANCELLED, message: "the caller disconnected", origin: "cancelled" }),
    );
    if (this.#over) return;
    if (timeout !== undefined && timeout <= 0) {
      this.expire();
      return;
    }
    const remaining = timeout ?? Number.POSITIVE_INFINITY;
    this.#watchDeadline(remaining);
    this.#pickEndpoint(remaining);
  }

  /** Starts another attempt after a pause in milliseconds, at another endpoint where there is one. */
  protected restartAfter(pause: number): void {
    // The pause ends before the deadline, so one timer does for both.
    this.#unwatchDeadline();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const { remaining } = this;
      this.#watchDeadline(remaining);
      this.#pickEndpoint(remaining);
    }, pause);
  }

  /** Ends the call from our side, in any state. */
  protected abort(status: CallStatus): void {
    if (this.#over) return;
    if (this.stream !== undefined) {
      this.stream.cancel();
      this.#trace?.ended(status);
      this.#releaseEndpoint();
      this.attempts++;
    }
    this.finish(status, noMetadata);
  }

  protected finish(status: CallStatus, trailers: Metadata): void {
    const { cancellation, trace } = this.#options;
    this.#over = true;
    this.#unwatchDeadline();
    cancellation.listen(undefined);
    const seconds = (performance.now() - this.#started) / 1000;
    const businessCode = status.origin === "business" ? status.backendCode : undefined;
    this.host.observer?.finished(this.#countedAs, status.code, seconds, businessCode, trace?.traceId);
    this.host.callEnded();
    this.deliver(status.origin === undefined ? status : this.#explained(status), trailers, seconds);
  }

  /** A failure with details that only the call knows. */
  #explained(status: CallStatus): CallStatus {
    const { code, message, origin } = status;
    if (origin === "size" || origin === "request size") return { ...status, limit: this.host.maxMessageSize };
    // The code is also that of a method that is not implemented; all servers name the matter in some words (gRPC compression.md).
    const refused = origin === "backend" && code === Code.UNIMPLEMENTED && this.compressFrom !== undefined;
    return refused && /compress|encoding/i.test(message) ? { ...status, origin: "request encoding" } : status;
  }

  onEnd(outcome: StreamOutcome): void {
    const { progress, status } = outcome;
    this.#trace?.ended(status);
    if (progress === "refused" || progress === "goaway") this.#refused = this.stream;
    const endpoint = this.#releaseEndpoint();
    if (progress === "sent") {
      this.attempts++;
      this.#tried = [endpoint];
      // A server that ends a call for its deadline may report that sooner than we notice.
      if (status.code === Code.CANCELLED && status.origin === "http" && this.remaining <= 0) {
        this.finish(this.#expired(endpoint), noMetadata);
        return;
      }
    } else {
      if (!this.#tried.includes(endpoint)) this.#tried = [...this.#tried, endpoint];
      if (this.#resend(progress)) return;
    }
    this.attemptEnded(this.#withReach(outcome));
  }

  /** An outcome that states whether the backend may have processed the call, where its connection failed. */
  #withReach(outcome: StreamOutcome): StreamOutcome {
    const { progress, status } = outcome;
    if (status.origin !== "connect" || progress === "declined" || progress === "unsent") return outcome;
    if (progress === "sent") return { ...outcome, status: { ...status, origin: "lost" } };
    const limit = this.restartable() ? {} : { limit: maxReplay };
    return { ...outcome, status: { ...status, origin: "refused", ...limit } };
  }

  /** Sends a call again that the backend did not process; returns false where that must not or cannot be. */
  #resend(progress: Exclude<AttemptProgress, "sent">): boolean {
    if (!this.restartable()) return false;
    if (progress === "refused" || progress === "goaway") {
      this.#refusals ??= {};
      this.#refusals[progress] ??= new Refusals(progress);
      const pause = this.#refusals[progress].next();
      if (pause !== 0) return this.#resendAfter(pause, progress);
    }
    const endpoint = this.host.pick(this.#tried);
    if (endpoint === undefined) return false;
    if (progress === "declined" && (endpoint.state === "failing" || this.#tried.includes(endpoint)))
      return false;
    this.host.observer?.resent(this.#countedAs, progress === "declined" ? "unsent" : progress);
    this.#startAt(endpoint, this.remaining);
    return true;
  }

  #resendAfter(pause: number | undefined, why: RefusalKind): boolean {
    if (pause === undefined || pause >= this.remaining) return false;
    this.host.observer?.resent(this.#countedAs, why);
    this.restartAfter(pause);
    return true;
  }

  #watchDeadline(remaining: number): void {
    if (remaining === Number.POSITIVE_INFINITY) return;
    if (remaining >= timerBelowMs) deadlines.add(this);
    else this.#timer = setTimeout(() => this.expire(), Math.max(remaining, 0));
  }

  #unwatchDeadline(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    else deadlines.remove(this);
  }

  #pickEndpoint(remaining: number): void {
    if (this.#over) return;
    const endpoint = this.host.pick(this.#tried);
    if (endpoint !== undefined) {
      this.#startAt(endpoint, remaining);
      return;
    }
    const pending = this.host.resolving();
    if (pending !== undefined) {
      pending.then(() => this.#pickEndpoint(this.remaining));
      return;
    }
    const message = this.host.unavailable();
    this.finish({ code: Code.UNAVAILABLE, message, origin: "connect" }, noMetadata);
  }

  /** `remaining`: milliseconds until the deadline. */
  #startAt(endpoint: Endpoint, remaining: number): void {
    const { path, metadata, passed, trace } = this.#options;
    this.#trace = trace?.attempt(endpoint.address, this.attempts + 1, this.host.protocol);
    const call = {
      path,
      metadata: this.#trace === undefined ? metadata : [...metadata, ...this.#trace.metadata],
      timeout: remaining === Number.POSITIVE_INFINITY ? undefined : remaining,
      previousAttempts: this.attempts,
      compressFrom: passed === undefined ? this.compressFrom : undefined,
      passed,
      avoid: this.#refused,
    };
    let stream: TransportStream;
    try {
      stream = endpoint.transport.start(call, this);
    } catch (error) {
      const message = errorMessage(error);
      const status = { code: Code.INTERNAL, message, origin: "request" } as const;
      this.#trace?.ended(status);
      this.finish(status, noMetadata);
      return;
    }
    endpoint.acquire();
    this.#endpoint = endpoint;
    this.stream = stream;
    this.startAttempt(stream);
  }

  #releaseEndpoint(): Endpoint {
    const endpoint = this.#endpoint!;
    this.#endpoint = undefined;
    this.stream = undefined;
    endpoint.release();
    return endpoint;
  }

  expire(): void {
    this.abort(this.#expired(this.#endpoint));
  }

  #expired(endpoint: Endpoint | undefined): CallStatus {
    const from = endpoint === undefined ? "" : ` from ${endpoint.address}`;
    const message = `no response${from} within ${this.#options.timeout} ms`;
    return { code: Code.DEADLINE_EXCEEDED, message, origin: "deadline" };
  }
}

/** The status of a message that is not sent because it is too large; sizes in bytes. */
export function tooLarge(size: number, max: number): CallStatus {
  const message = `the request message has ${size} bytes, at most ${max} are allowed`;
  return { code: Code.RESOURCE_EXHAUSTED, message, origin: "request size" };
}
