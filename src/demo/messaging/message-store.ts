/** Most messages kept; the one written longest ago makes room. */
const CAPACITY = 1000;

/** Texts by message id. */
export class MessageStore {
  readonly #texts = new Map<string, string>();

  /** Empty where nobody has written that message. */
  text(id: string): string {
    return this.#texts.get(id) ?? "";
  }

  write(id: string, text: string): void {
    this.#texts.delete(id);
    this.#texts.set(id, text);
    const oldest = this.#texts.keys().next();
    if (this.#texts.size > CAPACITY && !oldest.done) this.#texts.delete(oldest.value);
  }
}
