import { Child, type Command } from "./child.js";

/** The processes that this run has started. */
export class Children {
  readonly #running = new Set<Child>();

  start(command: Command): Child {
    const child = new Child(command);
    this.#running.add(child);
    void child.ended.then(() => this.#running.delete(child));
    return child;
  }

  /** Kills all that still run, and waits until they are gone. */
  async stopAll(): Promise<void> {
    await Promise.all([...this.#running].map(child => child.stop()));
  }
}
