import type { ServerFrame } from "./frames.js";
import { watchPage } from "./page.js";
import type {
  Carrier,
  Transport,
  TransportEvents,
  TransportRequest,
  Upgrade,
  UpgradeOptions,
} from "./transport.js";

export type TokenSource = string | ((why: "connect" | "expiring") => string | Promise<string>);

/** How the connection is doing. */
export type State =
  | { readonly state: "idle" | "connecting" | "paused" }
  | { readonly state: "open"; readonly transport: string }
  /** `retryIn` milliseconds it connects again. */
  | { readonly state: "waiting"; readonly retryIn: number; readonly code: number; readonly reason: string }
  /** For good, until `connect` is called. `code` 1000: by `close`. */
  | { readonly state: "closed"; readonly code: number; readonly reason: string };

/** Transports further back are tried where the ones before do not open. */
export interface LinkOptions extends UpgradeOptions {
  readonly url: string;
  readonly token: TokenSource | undefined;
  /** Milliseconds without a frame of the gateway while it owes a response or a pong. */
  readonly responseTimeout: number;
  /** Milliseconds of silence after which a ping is sent. */
  readonly heartbeat: number;
  /** Milliseconds before the first retry and the longest, each without the random reduction. */
  readonly backoff: { readonly min: number; readonly max: number };
  /** Frames that are sent at once after silence, and each second. */
  readonly rate: { readonly burst: number; readonly perSecond: number };
}

export interface LinkOwner {
  state(state: State): void;
  opened(): void;
  frame(frame: ServerFrame): void;
  /** Frames without a response so far will get none. @param code of the close; undefined where the client ended it */
  lost(code: number | undefined): void;
  /** Whether the gateway owes a response. */
  readonly waiting: boolean;
  /** Whether it does, or a room is being joined. */
  readonly busy: boolean;
}

/** A transport that did not open where a later one did, or on which nothing arrived, is left out for so long. */
const avoidMs = 600_000;
/** Tries to connect again by the transport that worked last, before the others are tried too. */
const maxAlone = 2;
/** The time that the user may take to log in, say. */
const tokenTimeoutMs = 120_000;

/** Keeps a connection to the gateway: connects, notices when it is dead, and connects again. */
export class Link {
  readonly #options: LinkOptions;
  readonly #owner: LinkOwner;
  readonly #avoided = new Map<Transport, number>();
  readonly #unwatch: () => void;
  /** Undefined without a fallback. */
  readonly #upgrade: Upgrade | undefined;
  #state: State = { state: "idle" };
  #carrier: Carrier | undefined;
  /** The one that is open, until something has arrived by it. */
  #unproven: Transport | undefined;
  /** The last by which something has arrived. */
  #proven: Transport | undefined;
  /** Of this try to connect; all that belongs to an earlier one is void. */
  #attempt = 0;
  #failures = 0;
  /** Closes for want of a valid token, one after the other. */
  #denials = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Of `performance.now`. */
  #heardAt = 0;
  #pingedAt: number | undefined;
  #tickedAt = 0;
  /** The timer runs as if a response were due. */
  #alert = false;
  /** Frames that the gateway would refuse if they were sent now. */
  readonly #queue: string[] = [];
  #credit = 0;
  #creditAt = 0;
  #pacer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: LinkOptions, owner: LinkOwner) {
    this.#options = options;
    this.#owner = owner;
    const fallback = options.transports.find(({ upgrade }) => upgrade !== undefined);
    this.#upgrade = fallback?.upgrade?.(options, {
      request: () => this.#request(),
      get busy() {
        return owner.busy;
      },
      move: (transport, connect) => this.#move(transport, connect),
    });
    this.#unwatch = watchPage({
      online: () => this.#upgrade?.networkChanged(),
      awake: () => {
        if (this.#state.state === "waiting") this.connect();
        else this.probe();
      },
      doubt: () => this.probe(),
      pause: () => this.#pause(),
      resume: () => {
        if (this.#state.state === "paused") this.connect();
      },
    });
  }

  get state(): State {
    return this.#state;
  }

  /** Connects, at once also where it waits to do so; nothing where it is connecting or connected. */
  connect(): void {
    const { state } = this.#state;
    if (state === "connecting" || state === "open") return;
    if (state === "closed" || state === "idle") this.#failures = this.#denials = 0;
    this.#abandon();
    this.#set({ state: "connecting" });
    void this.#connect(this.#attempt);
  }

  /** @returns false where there is no connection */
  send(text: string): boolean {
    if (this.#state.state !== "open") return false;
    this.#queue.push(text);
    this.#flush();
    if (!this.#alert) this.#watch();
    return true;
  }

  #flush(): void {
    const { burst, perSecond } = this.#options.rate;
    const now = performance.now();
    this.#credit = Math.min(burst, this.#credit + ((now - this.#creditAt) * perSecond) / 1000);
    this.#creditAt = now;
    for (; this.#credit >= 1 && this.#queue.length > 0; this.#credit--)
      this.#carrier?.send(this.#queue.shift() ?? "");
    clearTimeout(this.#pacer);
    if (this.#queue.length > 0) this.#pacer = setTimeout(() => this.#flush(), 1000 / perSecond);
  }

  /** Sends a ping: the connection is closed where nothing comes back. */
  probe(): void {
    if (this.#state.state !== "open" || this.#pingedAt !== undefined) return;
    this.#pingedAt = performance.now();
    this.#carrier?.send('{"type":"ping"}');
    this.#watch();
  }

  /** Ends the connection, for good. */
  close(): void {
    this.#unwatch();
    this.#end(1000, "");
  }

  #set(state: State): void {
    this.#state = state;
    this.#owner.state(state);
  }

  async #connect(attempt: number): Promise<void> {
    const { transports } = this.#options;
    let request: TransportRequest;
    try {
      request = await this.#request();
    } catch (error) {
      if (attempt === this.#attempt) this.#closed(1006, `no token: ${String(error)}`);
      return;
    }
    const now = performance.now();
    const usable = transports.filter(each => now - (this.#avoided.get(each) ?? -avoidMs) >= avoidMs);
    // What has worked fails because of the gateway, most often: then another transport would be a poor exchange.
    const alone = this.#failures <= maxAlone && usable[0] === this.#proven;
    const failed: Transport[] = [];
    let last = { code: 1006, reason: "" };
    for (const transport of usable.length === 0 ? transports : usable.slice(0, alone ? 1 : undefined)) {
      if (attempt !== this.#attempt) return;
      const outcome = await this.#open(transport, events => transport.connect(request, events), attempt);
      if (outcome === undefined) {
        for (const each of failed) this.#avoided.set(each, now);
        return;
      }
      last = outcome;
      failed.push(transport);
      // The gateway itself has refused.
      if (last.code >= 4000) break;
    }
    if (attempt === this.#attempt) this.#closed(last.code, last.reason);
  }

  /** @throws Error (rejects) where there is no token */
  async #request(): Promise<TransportRequest> {
    const { token, url } = this.#options;
    return {
      url,
      token: typeof token === "function" ? await within(tokenTimeoutMs, token("connect")) : token,
    };
  }

  /** What still comes by the connection before is void. */
  #move(transport: Transport, connect: (events: TransportEvents) => Carrier): Carrier | undefined {
    const previous = this.#carrier;
    this.#carrier = undefined;
    this.#abandon();
    this.#avoided.delete(transport);
    void this.#open(transport, connect, this.#attempt);
    return previous;
  }

  /** @returns undefined once it is open, or of no interest any more */
  #open(
    transport: Transport,
    connect: (events: TransportEvents) => Carrier,
    attempt: number,
  ): Promise<{ code: number; reason: string } | undefined> {
    return new Promise(resolve => {
      let open = false;
      let over = false;
      const current = (): boolean => attempt === this.#attempt && !over;
      const failed = (code: number, reason: string): void => {
        clearTimeout(timer);
        over = true;
        resolve({ code, reason });
      };
      const timer = setTimeout(() => {
        this.#carrier?.close();
        failed(1006, `no connection within ${this.#options.connectTimeout} ms`);
      }, this.#options.connectTimeout);
      this.#timer = timer;
      try {
        this.#carrier = connect({
          opened: () => {
            if (!current()) return;
            clearTimeout(timer);
            open = true;
            resolve(undefined);
            this.#opened(transport);
          },
          frame: frame => {
            if (current()) this.#frame(frame);
          },
          closed: (code, reason) => {
            if (!current()) return;
            if (open) this.#closed(code, reason);
            else failed(code, reason);
          },
        });
      } catch (error) {
        failed(1006, String(error));
      }
    });
  }

  #opened(transport: Transport): void {
    this.#unproven = transport;
    this.#heardAt = this.#tickedAt = this.#creditAt = performance.now();
    this.#credit = this.#options.rate.burst;
    const attempt = this.#attempt;
    this.#set({ state: "open", transport: transport.name });
    // Listeners may close the client.
    if (attempt === this.#attempt) this.#owner.opened();
    if (attempt !== this.#attempt) return;
    this.#upgrade?.begin(transport);
    this.#watch();
  }

  #frame(frame: ServerFrame): void {
    this.#heardAt = performance.now();
    this.#proven = this.#unproven ?? this.#proven;
    this.#unproven = this.#pingedAt = undefined;
    this.#failures = this.#denials = 0;
    if (frame.type !== "pong") this.#owner.frame(frame);
    this.#upgrade?.settle();
  }

  /** Looks after the connection again when something may be due. */
  #watch(): void {
    clearTimeout(this.#timer);
    const { heartbeat, responseTimeout } = this.#options;
    this.#alert = this.#owner.waiting || this.#pingedAt !== undefined;
    this.#timer = setTimeout(
      () => this.#tick(),
      (this.#alert ? Math.min(heartbeat, responseTimeout) : heartbeat) / 4,
    );
  }

  #tick(): void {
    if (this.#state.state !== "open") return;
    const { heartbeat, responseTimeout } = this.#options;
    const now = performance.now();
    // Timers stood still: the machine slept, or the page did.
    const slept = now - this.#tickedAt > 2 * heartbeat;
    this.#tickedAt = now;
    if (this.#pingedAt !== undefined && !slept) {
      if (now - this.#pingedAt >= responseTimeout) {
        if (this.#unproven !== undefined) this.#avoided.set(this.#unproven, now);
        this.#closed(1006, `no sign of the gateway for ${responseTimeout} ms`);
        return;
      }
    } else {
      const silent = now - this.#heardAt;
      if (slept || silent >= (this.#owner.waiting ? responseTimeout : heartbeat)) {
        this.#pingedAt = undefined;
        this.probe();
      }
    }
    this.#watch();
    this.#upgrade?.settle();
  }

  #closed(code: number, reason: string): void {
    const { token, backoff } = this.#options;
    if (code === 4401 && typeof token === "function" && ++this.#denials < 3) {
      this.#retry(this.#denials === 1 ? 0 : backoff.min, code, reason);
      return;
    }
    if (isFinal(code) && this.#upgrade?.trying !== true) {
      this.#end(code, reason);
      return;
    }
    // It may have ended in favour of the connection that is being tried, which passes.
    if (isFinal(code)) this.#avoided.clear();
    const longest = Math.min(backoff.max, backoff.min * 2 ** this.#failures++);
    // Clients that were lost together do not come back together.
    const chosen = longest * (0.2 + 0.8 * Math.random());
    this.#retry(Math.max(chosen, 1000 * retryAfter(reason)), code, reason);
  }

  #retry(retryIn: number, code: number, reason: string): void {
    this.#abandon(code);
    this.#timer = setTimeout(() => this.connect(), retryIn);
    this.#set({ state: "waiting", retryIn, code, reason });
  }

  #pause(): void {
    const { state } = this.#state;
    if (state === "idle" || state === "closed" || state === "paused") return;
    this.#abandon();
    this.#set({ state: "paused" });
  }

  #end(code: number, reason: string): void {
    if (this.#state.state === "closed") return;
    this.#abandon(code);
    this.#set({ state: "closed", code, reason });
  }

  /** Drops everything that was begun. */
  #abandon(code?: number): void {
    this.#attempt++;
    clearTimeout(this.#timer);
    clearTimeout(this.#pacer);
    this.#queue.length = 0;
    this.#pingedAt = undefined;
    this.#upgrade?.stop();
    const carrier = this.#carrier;
    this.#carrier = undefined;
    carrier?.close();
    this.#owner.lost(code);
  }
}

/** Codes of the range 4400 to 4499 end with an HTTP status: coming back would not help, but for 408 and 429. */
function isFinal(code: number): boolean {
  return code >= 4400 && code < 4500 && code !== 4408 && code !== 4429;
}

/** Seconds after which a gateway that shuts down accepts another attempt. */
function retryAfter(reason: string): number {
  try {
    return Math.min(600, Number((JSON.parse(reason) as { retry_after?: unknown }).retry_after) || 0);
  } catch {
    return 0;
  }
}

async function within<T>(milliseconds: number, value: T | Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`none within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([value, late]);
  } finally {
    clearTimeout(timer);
  }
}
