import type { Connection } from "./connection.js";
import type { Loop, LoopPlan } from "./loop.js";
import { mostWaiting } from "./protocol.js";

/**
 * Requests become due at a rate, whatever the server does: about every millisecond those that its time has come for.
 * One that finds no connection free waits for one, and its wait counts, as it would for a client of its own.
 */
export class OpenLoop implements Loop {
  readonly #plan: LoopPlan;
  /** Requests a millisecond. */
  readonly #rate: number;
  readonly #fail: (error: Error) => void;
  readonly #free: Connection[];
  /** When each request was due that waits for a connection; those before `#next` have one. */
  #waiting: number[] = [];
  #next = 0;
  #started = 0;
  #due = 0;
  #done = 0;
  #over = false;

  /** @param rate requests a second, above 0 */
  constructor(plan: LoopPlan, rate: number, fail: (error: Error) => void) {
    this.#plan = plan;
    this.#rate = rate / 1000;
    this.#fail = fail;
    this.#free = [...plan.connections];
  }

  start(): void {
    this.#started = performance.now();
    this.#tick();
  }

  answered(connection: Connection): void {
    this.#plan.took(performance.now() - connection.dueAt);
    this.#done += 1;
    this.#free.push(connection);
    this.#serve();
    this.#finish();
  }

  #tick(): void {
    const { requests, milliseconds } = this.#plan;
    const now = performance.now();
    const passed = Math.min(now - this.#started, milliseconds);
    const due = Math.min(requests, Math.ceil(passed * this.#rate));
    for (; this.#due < due; this.#due += 1) this.#waiting.push(now);
    this.#serve();
    if (this.#waiting.length - this.#next > mostWaiting) {
      this.#fail(
        new Error(`${mostWaiting} requests wait: the server does not keep ${this.#rate * 1000} a second`),
      );
    } else if (passed < milliseconds && due < requests) {
      setTimeout(() => this.#tick(), 1);
    } else {
      this.#over = true;
      this.#finish();
    }
  }

  #serve(): void {
    while (this.#next < this.#waiting.length) {
      const connection = this.#free.pop();
      if (connection === undefined) return;
      connection.send(this.#waiting[this.#next] as number);
      this.#next += 1;
    }
    this.#waiting = [];
    this.#next = 0;
  }

  #finish(): void {
    if (this.#over && this.#done === this.#due) this.#plan.finished();
  }
}
