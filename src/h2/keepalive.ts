export interface KeepaliveOptions {
  /** Milliseconds of silence after which a ping is sent, whether streams are open or not. */
  readonly time: number;
  /** Milliseconds after which an unanswered ping ends the connection. */
  readonly timeout: number;
}

/** Pings a connection that is silent, and finds out where it is dead. Its timers do not keep the process alive. */
export class Keepalive {
  readonly #time: number;
  readonly #timeout: number;
  readonly #ping: () => void;
  readonly #onDead: () => void;
  #timer: NodeJS.Timeout | undefined;
  #lastReceived = 0;
  /** `performance.now()` of the ping that may be unanswered. */
  #pingedAt: number | undefined;

  /** Starts at once. `ping` sends a ping; `onDead` is called when nothing comes within the timeout after it. */
  constructor({ time, timeout }: KeepaliveOptions, ping: () => void, onDead: () => void) {
    this.#time = time;
    this.#timeout = timeout;
    this.#ping = ping;
    this.#onDead = onDead;
    this.received();
    this.#wait(time);
  }

  /** Bytes came, of any kind. */
  received(): void {
    this.#lastReceived = performance.now();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #wait(milliseconds: number): void {
    this.#timer = setTimeout(() => this.#check(), milliseconds).unref();
  }

  #check(): void {
    const now = performance.now();
    const pinged = this.#pingedAt;
    if (pinged !== undefined && this.#lastReceived < pinged) {
      this.#onDead();
      return;
    }
    const remaining = this.#lastReceived + this.#time - now;
    if (remaining > 0) {
      this.#pingedAt = undefined;
      this.#wait(remaining);
    } else {
      this.#pingedAt = now;
      this.#ping();
      this.#wait(this.#timeout);
    }
  }
}
