import type { KeepaliveOptions } from "../options.js";

/** Asks a connection that is silent whether it is alive. Its timers do not keep the process alive. */
export class Keepalive {
  readonly #time: number;
  readonly #timeout: number;
  readonly #ping: () => void;
  readonly #onDead: () => void;
  #timer: NodeJS.Timeout | undefined;
  #lastHeard = 0;
  /** `performance.now()` of the ping that may be unanswered. */
  #askedAt: number | undefined;

  /** Starts at once. `ping` sends a ping; `onDead` is called when nothing came after it for too long. */
  constructor({ time, timeout }: KeepaliveOptions, ping: () => void, onDead: () => void) {
    this.#time = time;
    this.#timeout = timeout;
    this.#ping = ping;
    this.#onDead = onDead;
    this.heard();
    this.#wait(time);
  }

  /** Something came, whatever it was. */
  heard(): void {
    this.#lastHeard = performance.now();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #wait(milliseconds: number): void {
    this.#timer = setTimeout(() => this.#check(), milliseconds).unref();
  }

  #check(): void {
    const now = performance.now();
    const asked = this.#askedAt;
    if (asked !== undefined && this.#lastHeard < asked) {
      this.#onDead();
      return;
    }
    const left = this.#lastHeard + this.#time - now;
    if (left > 0) {
      this.#askedAt = undefined;
      this.#wait(left);
    } else {
      this.#askedAt = now;
      this.#ping();
      this.#wait(this.#timeout);
    }
  }
}
