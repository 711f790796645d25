/** Something that can be in one ring at a time: its neighbours while it is in one. For `Ring` alone. */
export class Linked {
  earlier: Linked | undefined = undefined;
  later: Linked | undefined = undefined;
}

/**
 * Items that come and go all the time, in the order of their arrival. A Set would do, but each table that a Set
 * outgrows points to the next: one in the old space would keep all items of the later ones alive.
 */
export class Ring<T extends Linked> {
  readonly #head = new Linked();
  #size = 0;

  constructor() {
    this.#head.earlier = this.#head;
    this.#head.later = this.#head;
  }

  get size(): number {
    return this.#size;
  }

  /** The oldest item. */
  get first(): T | undefined {
    return this.#size === 0 ? undefined : (this.#head.later as T);
  }

  /** It must be in no ring. */
  add(item: T): void {
    const head = this.#head;
    const last = head.earlier as Linked;
    item.earlier = last;
    item.later = head;
    last.later = item;
    head.earlier = item;
    this.#size++;
  }

  /** Does nothing where it is not there. */
  remove(item: T): void {
    const { earlier, later } = item;
    if (earlier === undefined || later === undefined) return;
    earlier.later = later;
    later.earlier = earlier;
    item.earlier = undefined;
    item.later = undefined;
    this.#size--;
  }

  /** All that is there now; it may go while one walks over it. */
  all(): readonly T[] {
    const all: T[] = [];
    for (let each = this.#head.later; each !== this.#head; each = each?.later) all.push(each as T);
    return all;
  }
}
