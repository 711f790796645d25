import { FlushQueue } from "../../net/flush-queue.js";
import type { FrameConnection, FrameOwner } from "./frame-connection.js";

const tickIntervalMs = 1000;

/** The sockets of one listener: writes for them at the end of a turn, and finds those whose client has vanished. */
export class FrameConnections implements FrameOwner {
  readonly #idleTimeoutMs: number;
  /** Until the connection is gone. */
  readonly #connections = new Set<FrameConnection>();
  /** Runs while there are sockets. */
  #timer: NodeJS.Timeout | undefined;
  readonly #toFlush = new FlushQueue();

  /** @param idleTimeoutMs milliseconds after which a silent client, also without pongs, is gone */
  constructor(idleTimeoutMs: number) {
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  add(connection: FrameConnection): void {
    this.#timer ??= setInterval(() => this.#tick(), tickIntervalMs).unref();
    this.#connections.add(connection);
  }

  removed(connection: FrameConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  flushLater(connection: FrameConnection): void {
    this.#toFlush.add(connection);
  }

  /** Ends the connections that are left. */
  destroy(): void {
    for (const connection of [...this.#connections]) connection.close();
  }

  #tick(): void {
    const now = performance.now();
    const pingAfterMs = this.#idleTimeoutMs - pingTime(this.#idleTimeoutMs);
    for (const connection of this.#connections) {
      const silent = now - connection.receivedAt;
      if (connection.isOverdue(now)) connection.close();
      // Its client's frames are not read: only a ping that cannot be delivered shows that it has gone.
      else if (connection.paused) connection.ping();
      else if (silent >= this.#idleTimeoutMs) connection.close();
      else if (silent >= pingAfterMs && !connection.pinged) connection.ping();
    }
  }
}

/** Milliseconds that a client has for its pong. */
export function pingTime(idleTimeoutMs: number): number {
  return Math.min(16_000, idleTimeoutMs / 2);
}
