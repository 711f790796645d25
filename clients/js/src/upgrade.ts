import type {
  Carrier,
  Transport,
  TransportEvents,
  TransportRequest,
  Upgrade,
  UpgradeOptions,
  UpgradeOwner,
} from "./transport.js";

/** Browsers and Node.js run longer timers at once. */
const longestTimerMs = 2 ** 31 - 1;

/** While a fallback is open, tries the transports before it in the background, and moves to one that brings frames. */
export class BackgroundUpgrade implements Upgrade {
  readonly #options: UpgradeOptions;
  readonly #owner: UpgradeOwner;
  #tries = 0;
  #underWay = false;
  /** The network has changed since the last try. */
  #changed = false;
  #better: readonly Transport[] = [];
  /** Of this connection; what belongs to an earlier one is void. */
  #watch = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #carrier: Carrier | undefined;
  /** What is next, and waits until the client is not busy. */
  #next: (() => void) | undefined;
  /** The connection before the move: it ends when the rooms are joined by the new one. */
  #previous: Carrier | undefined;

  constructor(options: UpgradeOptions, owner: UpgradeOwner) {
    this.#options = options;
    this.#owner = owner;
  }

  get trying(): boolean {
    return this.#carrier !== undefined;
  }

  begin(current: Transport): void {
    const { transports, upgrade } = this.#options;
    const better = upgrade.min === Number.POSITIVE_INFINITY ? 0 : transports.indexOf(current);
    this.#better = transports.slice(0, Math.max(0, better));
    if (this.#better.length === 0) this.#changed = false;
    this.#schedule();
  }

  stop(): void {
    this.#watch++;
    this.#underWay = false;
    this.#better = [];
    this.#next = undefined;
    clearTimeout(this.#timer);
    this.#carrier?.close();
    this.#previous?.close();
    this.#carrier = this.#previous = undefined;
  }

  networkChanged(): void {
    this.#tries = 0;
    this.#changed = true;
    if (!this.#underWay) this.#schedule();
  }

  settle(): void {
    if (this.#owner.busy) return;
    this.#previous?.close();
    this.#previous = undefined;
    this.#next?.();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#better.length === 0) return;
    const { min, max } = this.#options.upgrade;
    const longest = this.#changed ? 0 : Math.min(max, min * 2 ** this.#tries, longestTimerMs);
    // Clients that fell back together do not try together.
    this.#timer = setTimeout(
      () => {
        this.#next = () => void this.#tryAll(this.#watch);
        this.settle();
      },
      longest * (0.5 + 0.5 * Math.random()),
    );
  }

  async #tryAll(watch: number): Promise<void> {
    this.#next = undefined;
    this.#underWay = true;
    this.#tries++;
    this.#changed = false;
    try {
      const request = await this.#owner.request();
      for (const transport of this.#better)
        if (watch !== this.#watch || (await this.#try(transport, request, watch))) return;
    } catch {
      // No token: the open connection requests one when it needs it.
    }
    if (watch !== this.#watch) return;
    this.#underWay = false;
    this.#schedule();
  }

  /** @returns false where it fails before a move */
  #try(transport: Transport, request: TransportRequest, watch: number): Promise<boolean> {
    return new Promise(resolve => {
      const failed = (): void => {
        if (watch !== this.#watch) return;
        clearTimeout(this.#timer);
        this.#carrier?.close();
        this.#carrier = this.#next = undefined;
        resolve(false);
      };
      const move = (): void => {
        clearTimeout(this.#timer);
        const carrier = this.#carrier as Carrier;
        this.#carrier = this.#next = undefined;
        this.#previous = this.#owner.move(transport, next => {
          events = next;
          void Promise.resolve().then(() => next.opened());
          return carrier;
        });
        resolve(true);
      };
      let events: TransportEvents = {
        opened: () => this.#carrier?.send('{"type":"ping"}'),
        frame: () => {
          this.#next = move;
          this.settle();
        },
        closed: failed,
      };
      this.#timer = setTimeout(failed, this.#options.connectTimeout);
      try {
        this.#carrier = transport.connect(request, {
          opened: () => events.opened(),
          frame: frame => events.frame(frame),
          closed: (code, reason) => events.closed(code, reason),
        });
      } catch {
        failed();
      }
    });
  }
}
