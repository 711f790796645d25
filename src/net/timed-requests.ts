/**
 * Requests of one owner to other services, each with a time limit. Node.js collects a signal of `AbortSignal.any` or
 * `AbortSignal.timeout` to which only `fetch` listens, and then it never aborts; these signals are held until their request ends.
 */
export class TimedRequests {
  readonly #open = new Set<AbortController>();
  #closed = false;

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Makes a request with a signal that aborts after `timeoutMs` milliseconds (reason: a `TimeoutError`), or when the
   * requests are closed (an `AbortError`); at once where they are. The time limit alone does not keep the process running.
   */
  async run<T>(timeoutMs: number, request: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    if (this.#closed) controller.abort();
    this.#open.add(controller);
    const timer = setTimeout(() => controller.abort(timedOut()), timeoutMs).unref();
    try {
      return await request(controller.signal);
    } finally {
      clearTimeout(timer);
      this.#open.delete(controller);
    }
  }

  /** Aborts all requests, those that are made later included. */
  close(): void {
    this.#closed = true;
    for (const controller of this.#open) controller.abort();
  }
}

function timedOut(): DOMException {
  return new DOMException("the operation was aborted due to timeout", "TimeoutError");
}
