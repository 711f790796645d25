/** A cancellation that costs nothing until it happens. One listener: the call that is under way. */
export class Cancellation {
  #cancelled = false;
  #listener: (() => void) | undefined;

  get cancelled(): boolean {
    return this.#cancelled;
  }

  cancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#listener?.();
  }

  /** Replaces the listener; runs it at once when already cancelled. */
  listen(listener: (() => void) | undefined): void {
    this.#listener = listener;
    if (this.#cancelled) listener?.();
  }
}
