import { GCProfiler, getHeapStatistics } from "node:v8";

interface HeapNumbers {
  readonly usedHeapSize: number;
  readonly externalMemory: number;
}

interface Collection {
  readonly beforeGC: { readonly heapStatistics: HeapNumbers };
  readonly afterGC: { readonly heapStatistics: HeapNumbers };
}

/**
 * Counts the bytes that this process allocates: what the heap grew by between garbage collections. V8 keeps no such
 * count of its own. Buffers and other memory outside of the heap are counted too, a little short, as parts of them
 * are freed while the next count is already running.
 */
export class AllocationCounter {
  #profiler = new GCProfiler();
  #total = 0;
  #heap = 0;
  #external = 0;

  constructor() {
    this.#start();
  }

  /** Bytes since the counter was made. */
  total(): number {
    const { statistics } = this.#profiler.stop() as unknown as { readonly statistics: readonly Collection[] };
    for (const { beforeGC, afterGC } of statistics) {
      this.#grow(beforeGC.heapStatistics.usedHeapSize, beforeGC.heapStatistics.externalMemory);
      this.#heap = afterGC.heapStatistics.usedHeapSize;
      this.#external = afterGC.heapStatistics.externalMemory;
    }
    const now = getHeapStatistics();
    this.#grow(now.used_heap_size, now.external_memory);
    this.#start();
    return this.#total;
  }

  #grow(heap: number, external: number): void {
    this.#total += Math.max(0, heap - this.#heap) + Math.max(0, external - this.#external);
  }

  #start(): void {
    this.#profiler = new GCProfiler();
    const { used_heap_size, external_memory } = getHeapStatistics();
    this.#heap = used_heap_size;
    this.#external = external_memory;
    this.#profiler.start();
  }
}
