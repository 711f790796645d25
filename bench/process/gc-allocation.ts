import { GCProfiler, getHeapStatistics } from "node:v8";

interface Collection {
  /** Microseconds that it took. */
  readonly cost: number;
  readonly beforeGC: { readonly heapStatistics: { readonly usedHeapSize: number } };
  readonly afterGC: { readonly heapStatistics: { readonly usedHeapSize: number } };
}

/**
 * Counts the bytes that this process allocates on the JavaScript heap, and the time that JavaScript stood still for
 * garbage collection. Bytes are what the heap grew by between collections, as V8 keeps no such count of its own. The
 * contents of Buffers lie outside of the heap and are not counted: they are freed at any time, so that growth says
 * little.
 */
export class AllocationCounter {
  #profiler = new GCProfiler();
  #total = 0;
  #collecting = 0;
  #heap = 0;

  constructor() {
    this.#start();
  }

  /** Bytes since the counter was made. */
  total(): number {
    this.#count();
    return this.#total;
  }

  /** Microseconds of pauses since the counter was made. */
  collecting(): number {
    this.#count();
    return this.#collecting;
  }

  #count(): void {
    const { statistics } = this.#profiler.stop() as unknown as { readonly statistics: readonly Collection[] };
    for (const { cost, beforeGC, afterGC } of statistics) {
      this.#grow(beforeGC.heapStatistics.usedHeapSize);
      this.#heap = afterGC.heapStatistics.usedHeapSize;
      this.#collecting += cost;
    }
    this.#grow(getHeapStatistics().used_heap_size);
    this.#start();
  }

  #grow(heap: number): void {
    this.#total += Math.max(0, heap - this.#heap);
  }

  #start(): void {
    this.#profiler = new GCProfiler();
    this.#heap = getHeapStatistics().used_heap_size;
    this.#profiler.start();
  }
}
