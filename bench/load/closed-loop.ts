import type { Connection } from "./connection.js";
import type { Loop, LoopPlan } from "./loop.js";

/** Each connection sends as soon as it has its answer. */
export class ClosedLoop implements Loop {
  readonly #plan: LoopPlan;
  #deadline = 0;
  #sent = 0;
  #done = 0;

  constructor(plan: LoopPlan) {
    this.#plan = plan;
  }

  start(): void {
    const { connections, requests, milliseconds } = this.#plan;
    const now = performance.now();
    this.#deadline = now + milliseconds;
    for (const connection of connections.slice(0, requests)) this.#send(connection, now);
  }

  answered(connection: Connection): void {
    const now = performance.now();
    this.#plan.took(now - connection.dueAt);
    this.#done += 1;
    if (this.#sent < this.#plan.requests && now < this.#deadline) this.#send(connection, now);
    else if (this.#done === this.#sent) this.#plan.finished();
  }

  #send(connection: Connection, now: number): void {
    this.#sent += 1;
    connection.send(now);
  }
}
