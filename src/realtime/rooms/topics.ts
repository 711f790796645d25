/** A connection that can subscribe to topics. */
interface Subscriber {
  /** Those that it has subscribed to; only `Topics` changes them. */
  readonly topics: Set<string>;
}

/** The topics of the connections of one listener, and their subscribers. */
export class Topics<T extends Subscriber> {
  readonly #subscribers = new Map<string, Set<T>>();

  /** Undefined where there are none. */
  subscribersOf(topic: string): Iterable<T> | undefined {
    return this.#subscribers.get(topic);
  }

  subscribe(topic: string, subscriber: T): void {
    let subscribers = this.#subscribers.get(topic);
    if (subscribers === undefined) {
      subscribers = new Set();
      this.#subscribers.set(topic, subscribers);
    }
    subscribers.add(subscriber);
    subscriber.topics.add(topic);
  }

  /** @returns whether it was subscribed */
  unsubscribe(topic: string, subscriber: T): boolean {
    if (!subscriber.topics.delete(topic)) return false;
    const subscribers = this.#subscribers.get(topic);
    subscribers?.delete(subscriber);
    if (subscribers?.size === 0) this.#subscribers.delete(topic);
    return true;
  }

  /** The connection is over. */
  remove(subscriber: T): void {
    for (const topic of subscriber.topics) this.unsubscribe(topic, subscriber);
  }
}
