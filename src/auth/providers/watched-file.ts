import { type BigIntStats, statSync } from "node:fs";
import { stat } from "node:fs/promises";
import { isReplayed } from "../../net/files.js";

/** Milliseconds between two checks. They also find changes without events: network drives, swapped symbolic links. */
const interval = 1000;

/** The content of a file, as of its last good reading. */
export interface WatchedFile<T> {
  readonly content: T;
  /** The error of the last reading: the content is older than the file. Undefined where it was good. */
  readonly problem: unknown;
  close(): void;
}

/**
 * Reads a file, and again whenever it has changed. Where reading throws, the previous content is kept.
 * @param again called after each later reading: with its error, or undefined
 * @throws the error of the first reading
 */
export function watchedFile<T>(
  file: string,
  read: () => T,
  again: (problem: unknown, content: T) => void,
): WatchedFile<T> {
  // Before the reading, so that no change after it is missed; a replayed file may have changed already.
  let seen = isReplayed(file) ? undefined : describe(statSync(file, { bigint: true, throwIfNoEntry: false }));
  let content = read();
  let problem: unknown;
  let looking = false;
  let closed = false;

  const look = async (): Promise<void> => {
    looking = true;
    const found = describe(await stat(file, { bigint: true }).catch(() => undefined));
    looking = false;
    if (closed || found === seen) return;
    seen = found;
    problem = undefined;
    try {
      content = read();
    } catch (error) {
      problem = error;
    }
    again(problem, content);
  };
  const timer = setInterval(() => {
    // On a drive that hangs, one look waits, not one a second.
    if (!looking) void look();
  }, interval);
  timer.unref();
  return {
    get content() {
      return content;
    },
    get problem() {
      return problem;
    },
    close: () => {
      closed = true;
      clearInterval(timer);
    },
  };
}

function describe(stats: BigIntStats | undefined): string {
  return stats === undefined ? "" : `${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`;
}
