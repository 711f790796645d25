const maxKeptBytes = 1 << 20;

/**
 * Bytes that are written one after the other. The buffer grows as needed and is kept between messages, so that one
 * serves any number of them, one after the other.
 */
export abstract class GrowingBuffer {
  protected data: Buffer;
  protected view: DataView;
  /** Where the next byte goes. */
  protected at = 0;

  /** @param capacity bytes to start with */
  constructor(capacity: number) {
    this.data = Buffer.allocUnsafeSlow(capacity);
    this.view = new DataView(this.data.buffer);
  }

  /** Bytes written since the last reset. */
  get length(): number {
    return this.at;
  }

  /** Empties the buffer. Its memory is kept unless one large message made it grow beyond 1 MiB. */
  reset(): void {
    this.at = 0;
    if (this.data.length > maxKeptBytes) this.#replace(maxKeptBytes);
  }

  /** Makes room for so many more bytes. */
  protected reserve(count: number): void {
    const needed = this.at + count;
    if (needed > this.data.length) this.grow(needed);
  }

  /** @param needed bytes in all */
  protected grow(needed: number): void {
    this.#replace(Math.max(needed, this.data.length * 2));
  }

  #replace(capacity: number): void {
    const old = this.data;
    this.data = Buffer.allocUnsafeSlow(capacity);
    this.view = new DataView(this.data.buffer);
    old.copy(this.data, 0, 0, this.at);
  }
}
