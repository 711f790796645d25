import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import type { Authorizer, RoomAuthorizer } from "../auth/authorizer.js";
import type { Authenticator } from "../auth/identity.js";
import type { RequestOrigins } from "../auth/request-origins.js";
import { Guard } from "../bindings/guard.js";
import { callerKey } from "../limits/caller-key.js";
import type { Borrower } from "../limits/lending/borrower.js";
import type { Limited, Limiter } from "../limits/limiter.js";
import { type Rate as BucketRate, monotonicTicks, rateOf, refusalOf } from "../limits/rate.js";
import { createMemoryStore, type MemoryStore } from "../limits/stores/memory.js";
import { gatewayError } from "../status/failure.js";
import type { Logger } from "../telemetry/logger.js";
import type { Tracer } from "../telemetry/tracing/tracer.js";
import type { Bridge } from "./bridge/bridge.js";
import type { Broker } from "./brokers/broker.js";
import { Chat } from "./chat/chat.js";
import { CloseCode, expiring } from "./chat/frames.js";
import { expiryNoticeMs } from "./chat/renewal.js";
import type { RoomTokenProviders } from "./chat/room-tokens.js";
import { count, type RealtimeCounts, type RealtimeMetrics } from "./metrics.js";
import type { Publisher } from "./rooms/connection.js";
import { type Hub, ServerHub } from "./rooms/hub.js";
import { LocalHub } from "./rooms/local-hub.js";
import { plainRooms, type RoomKinds } from "./rooms/room-kinds.js";
import { RoomTraces } from "./rooms/room-traces.js";
import type { SessionRule } from "./rooms/session-classes.js";
import type { SlowPolicy } from "./rooms/slow-consumers.js";
import type { FrameRate } from "./rooms/socket.js";
import { SocketPermits } from "./rooms/socket-permits.js";

/** The settings that a reload of the configuration can change while sockets stay open. */
export interface RealtimeSettings {
  /** Which pages may open a socket, and whose cookies count. */
  readonly origins: RequestOrigins;
  /** Undefined: every client may connect, and its claimed name counts. */
  readonly authenticator: Authenticator | undefined;
  /** Those independent of the identity are checked before authentication. */
  readonly limiters: readonly Limiter[];
  /** The policies for a client that opens a socket. */
  readonly authorizer?: Authorizer | undefined;
  /** Where sockets are opened, for the policies on that route. Default: /ws. */
  readonly path?: string;
  /** False leaves only calls. Default true. */
  readonly rooms?: boolean;
  /** Which rooms there are; left out, all names are rooms of one kind. */
  readonly kinds?: RoomKinds;
  readonly sessions?: readonly SessionRule[];
  readonly roomPolicy: RoomAuthorizer | undefined;
  /** The verifiers of tokens for rooms; left out, no room takes any. */
  readonly roomTokens?: RoomTokenProviders;
  readonly bridge: Bridge | undefined;
  /** Whether WebSockets are among the transports. Default true. */
  readonly webSockets?: boolean;
  /** Sockets that are refused are opened and closed with a code, which a page can read. Default false. */
  readonly closesRefused?: boolean;
  readonly sentAt: "seconds" | "milliseconds";
  readonly limits: RealtimeLimits;
  readonly backpressure: SlowPolicy;
}

export interface RealtimeLimits {
  /** Bytes of a message, from clients and servers. */
  readonly message: number;
  readonly roomsPerConnection: number;
  readonly messagesPerSecond: number;
  /** Frames that a socket may send at once. */
  readonly burst: number;
  /** Of all workers together. */
  readonly connections: number;
}

export interface RealtimeOptions {
  readonly settings: RealtimeSettings;
  readonly broker: Broker;
  readonly metrics: RealtimeMetrics;
  readonly logger: Logger | undefined;
  /** Undefined where no traces are recorded. */
  readonly tracer?: Tracer | undefined;
  /** Where permits for sockets come from, in a worker. */
  readonly borrower?: Borrower | undefined;
}

const tickIntervalMs = 1000;

/** Rooms and sockets, apart from the listeners that sockets come in by. */
export class Realtime {
  readonly #hub: LocalHub;
  /** The operations of servers. */
  readonly hub: Hub;
  readonly chat: Chat;
  readonly metrics: RealtimeMetrics;
  readonly logger: Logger | undefined;
  readonly tracer: Tracer | undefined;
  readonly #broker: Broker;
  readonly #timer: NodeJS.Timeout;
  #settings: RealtimeSettings;
  #guard: Guard;
  #sendRate: SendRate;
  #draining = false;
  readonly permits: SocketPermits;

  constructor({ settings, broker, metrics, logger, tracer, borrower }: RealtimeOptions) {
    this.permits = new SocketPermits(settings.limits.connections, borrower);
    this.#settings = settings;
    this.#guard = guardOf(settings);
    this.#sendRate = new SendRate(frameRateOf(settings));
    this.#broker = broker;
    this.metrics = metrics;
    this.logger = logger;
    this.tracer = tracer;
    this.#hub = new LocalHub(broker, metrics, logger, hubLimits(settings));
    if (tracer !== undefined) this.#hub.fanOut.traces = new RoomTraces(tracer);
    this.hub = new ServerHub(this.#hub);
    this.chat = new Chat(this.#hub, chatOptions(settings));
    this.#hub.onEvicted = () => this.#evicted();
    this.#timer = setInterval(() => this.#tick(), tickIntervalMs);
    this.#timer.unref();
    metrics.countsFrom(() => this.counts());
  }

  /** The current counts. */
  counts(): RealtimeCounts {
    return {
      connections: this.#hub.open.size,
      rooms: this.#hub.openRooms,
      members: this.#hub.memberships,
      lagging: this.#hub.slow.size,
      historyBytes: this.#broker.bytes ?? 0,
    };
  }

  /** Connects to the broker. */
  start(): void | Promise<void> {
    return this.#broker.start(this.#hub);
  }

  /** For the code that opens sockets. */
  get local(): LocalHub {
    return this.#hub;
  }

  get settings(): RealtimeSettings {
    return this.#settings;
  }

  /** The guard of every upgrade. */
  get guard(): Guard {
    return this.#guard;
  }

  /** The rate limit of messages by REST. */
  get sendRate(): SendRate {
    return this.#sendRate;
  }

  /** Takes effect for later events; sockets stay open. */
  set settings(settings: RealtimeSettings) {
    this.#settings = settings;
    this.#guard = guardOf(settings);
    const rate = frameRateOf(settings);
    if (!this.#sendRate.is(rate)) this.#sendRate = new SendRate(rate);
    this.permits.max = settings.limits.connections;
    this.#hub.limits = hubLimits(settings);
    this.chat.options = chatOptions(settings);
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** The sockets of a listener get the messages published from now on. */
  attach(publisher: Publisher): void {
    this.#hub.fanOut.attach(publisher);
  }

  /**
   * Takes no more sockets, and ends those that are open, spread over `drain` milliseconds, with 1012 and after how many
   * seconds to come back: all at once they would overload the nodes that remain.
   */
  async close(drain: number): Promise<void> {
    this.#draining = true;
    const started = performance.now();
    await this.#endAll(drain, "SHUTTING_DOWN");
    while (this.#hub.open.size > 0 && performance.now() - started < drain) await delay(closeInterval);
    for (const socket of this.#hub.open) socket.terminate();
    clearInterval(this.#timer);
    // A backend that hangs does not delay shutdown further.
    const left = Math.max(closeGraceMs, drain - (performance.now() - started));
    const waiting = new AbortController();
    const timedOut = delay(left, undefined, { signal: waiting.signal }).catch(() => undefined);
    await Promise.race([this.chat.departures.settled(), timedOut]);
    waiting.abort();
    await this.#settings.bridge?.close();
    await this.#broker.close();
  }

  /** Ends all sockets with 1012, spread over at most `drain` milliseconds. */
  async #endAll(drain: number, reason: string): Promise<void> {
    const retries = Math.max(1, Math.ceil(drain / 1000));
    const retryAfter = (): number => 1 + Math.floor(Math.random() * retries);
    // Requests do not reach a gateway that drains for long: their clients are notified while they do.
    for (const [index, socket] of [...this.#hub.open].filter(({ byRequests }) => byRequests).entries()) {
      if (index > 0 && index % endedATurn === 0) await turn();
      this.#hub.open.end(socket, CloseCode.restart, restarting(reason, retryAfter()));
    }
    const sockets = [...this.#hub.open].filter(({ closed }) => !closed);
    const started = performance.now();
    const within = Math.min(drain * drainShare, sockets.length * closeSpacing);
    for (let index = 0; index < sockets.length; ) {
      const due = within === 0 ? 1 : (performance.now() - started) / within;
      for (; index < sockets.length && index < due * sockets.length; index++) {
        const socket = sockets[index];
        if (socket !== undefined)
          this.#hub.open.end(socket, CloseCode.restart, restarting(reason, retryAfter()));
      }
      if (index < sockets.length) await delay(closeInterval);
    }
  }

  /** Other nodes have announced the end of this node's sessions: its sockets are closed, so that clients reconnect. */
  #evicted(): void {
    this.logger?.warn(
      { sockets: this.#hub.open.size },
      "this gateway was cut off from the realtime broker for so long that another announced the end of its sessions; its sockets are closed with 1012",
    );
    this.chat.departures.reported();
    void this.#endAll(evictedDrainMs, "CUT_OFF");
  }

  #tick(): void {
    const now = Date.now();
    this.#hub.open.tick();
    this.#hub.slow.tick();
    const { authenticator, kinds = plainRooms } = this.#settings;
    if (authenticator === undefined && !kinds.takeTokens) return;
    for (const socket of this.#hub.open) {
      if (socket.roomTokens !== undefined) this.chat.expireTokens(socket, now);
      const { expiresAt } = socket.identity ?? {};
      if (expiresAt === undefined || expiresAt - now > expiryNoticeMs) continue;
      if (expiresAt <= now) this.#hub.open.end(socket, CloseCode.expired, '{"reason":"TOKEN_EXPIRED"}');
      else if (socket.notifiedExpiry !== expiresAt) {
        socket.notifiedExpiry = expiresAt;
        const text = expiring(Math.ceil((expiresAt - now) / 1000));
        if (socket.send(text)) count(this.metrics.sent.notice, 1, text.length);
      }
    }
  }
}

/** The share of the drain time in which sockets are closed; in the rest they may still read. */
const drainShare = 0.8;
/** Milliseconds between two sockets, where there is time for that. */
const closeSpacing = 10;
const closeInterval = 20;
/** Sessions without a WebSocket that are ended in one turn of the event loop. */
const endedATurn = 200;
/** Minimum time in which backends are notified of the last sockets. */
const closeGraceMs = 1000;

/** Milliseconds in which the sockets of a node that was taken for dead are closed. */
const evictedDrainMs = 10_000;

function restarting(reason: string, seconds: number): string {
  return `{"reason":"${reason}","retry_after":${seconds}}`;
}

function guardOf({ authenticator, limiters, authorizer }: RealtimeSettings): Guard {
  return new Guard({ authenticator, limiters, authorizer });
}

function frameRateOf({ limits }: RealtimeSettings): FrameRate {
  return { perSecond: limits.messagesPerSecond, burst: limits.burst };
}

function hubLimits({ limits, backpressure, sentAt, kinds = plainRooms, sessions = [] }: RealtimeSettings) {
  return { sessions, rooms: limits.roomsPerConnection, message: limits.message, backpressure, sentAt, kinds };
}

function chatOptions(settings: RealtimeSettings) {
  const {
    rooms = true,
    roomPolicy,
    bridge,
    path = "/ws",
    authenticator,
    authorizer,
    roomTokens: tokens,
  } = settings;
  const renewal = { path, authenticator, authorizer };
  return { rate: frameRateOf(settings), rooms, policy: roomPolicy, bridge, tokens, renewal };
}

const keyOf = callerKey({ kind: "subject" });

/** Limits messages by REST as a socket limits its frames: for each subject, or address of callers without a subject. */
class SendRate {
  readonly #rate: FrameRate;
  readonly #bucket: BucketRate;
  readonly #store: MemoryStore;

  constructor(rate: FrameRate) {
    this.#rate = rate;
    this.#bucket = rateOf(rate.perSecond, 1000, rate.burst);
    this.#store = createMemoryStore(this.#bucket, monotonicTicks);
  }

  is({ perSecond, burst }: FrameRate): boolean {
    return perSecond === this.#rate.perSecond && burst === this.#rate.burst;
  }

  /** @throws GatewayError RATE_LIMITED */
  admit(caller: Limited, subject: string | undefined): void {
    const { admitted, debt } = this.#store.take(keyOf(caller, subject));
    if (admitted) return;
    const message = `a sender may send ${this.#rate.perSecond} messages a second`;
    throw gatewayError("RATE_LIMITED", message, [], refusalOf("messages", this.#bucket, debt));
  }
}
