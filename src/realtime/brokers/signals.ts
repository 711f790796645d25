import { randomHex } from "../../telemetry/ids.js";

/** Signals that a node remembers to have had; servers keep fewer. */
const maxSeen = 10_000;
/** Signals that servers keep for nodes that are cut off, and for how long, milliseconds. */
export const keptSignals = 1000;
export const signalLifeMs = 3_600_000;

const retainedMark = "!";

/** A signal that nodes starting later also receive, as long as it is kept. */
export function retainedSignal(text: string): string {
  return retainedMark + text;
}

export function isRetained(text: string): boolean {
  return text.startsWith(retainedMark);
}

/** The text of a signal, without the mark of retained ones. */
export function signalText(text: string): string {
  return isRetained(text) ? text.slice(retainedMark.length) : text;
}

/** The control messages of a node, each with an id, so that one that is received live and read again counts once. */
export class Signals {
  readonly #node = randomHex(6);
  readonly #seen = new Set<string>();
  #last = 0;
  #caughtUp = false;

  /** A message as it goes out. */
  write(text: string): string {
    const id = `${this.#node}.${++this.#last}`;
    this.#see(id);
    return `${id} ${text}`;
  }

  /** @returns the text; undefined where it is this node's own, or was here before */
  read(payload: string): string | undefined {
    const space = payload.indexOf(" ");
    return this.#see(payload.slice(0, space)) ? payload.slice(space + 1) : undefined;
  }

  /** Takes the signals kept by the server. @returns those that this node has missed; of earlier ones the retained ones */
  missed(payloads: readonly string[]): string[] {
    const texts = payloads.flatMap(payload => this.read(payload) ?? []);
    const first = !this.#caughtUp;
    this.#caughtUp = true;
    return first ? texts.filter(isRetained) : texts;
  }

  #see(id: string): boolean {
    if (this.#seen.has(id)) return false;
    this.#seen.add(id);
    if (this.#seen.size > maxSeen) {
      const [oldest = ""] = this.#seen;
      this.#seen.delete(oldest);
    }
    return true;
  }
}
