import { Session } from "node:inspector/promises";

/** Which blocks of `src` have run, by V8's own counters. */
export class Coverage {
  readonly #session: Session;
  readonly #seen = new Set<string>();
  #last: string[] = [];

  private constructor(session: Session) {
    this.#session = session;
  }

  static async start(): Promise<Coverage> {
    const session = new Session();
    session.connect();
    await session.post("Profiler.enable");
    await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
    return new Coverage(session);
  }

  /** Whether a block has run since the last look that had never run before. */
  async grew(): Promise<boolean> {
    const { result } = await this.#session.post("Profiler.takePreciseCoverage");
    this.#last = [];
    for (const { url, functions } of result) {
      if (!url.includes("/src/")) continue;
      for (const { ranges } of functions) {
        for (const { count, startOffset, endOffset } of ranges) {
          const key = `${url}:${startOffset}-${endOffset}`;
          if (count > 0 && !this.#seen.has(key)) {
            this.#seen.add(key);
            this.#last.push(key);
          }
        }
      }
    }
    return this.#last.length > 0;
  }

  /** Takes back what the last look has found. */
  forgetLast(): void {
    for (const key of this.#last) this.#seen.delete(key);
    this.#last = [];
  }

  async stop(): Promise<void> {
    await this.#session.post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }
}
