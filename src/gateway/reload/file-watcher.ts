import { type FSWatcher, lstatSync, statSync, watch } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expandGlob, isGlob } from "../../config/glob.js";
import { errorMessage } from "../../net/error-text.js";

/** Milliseconds without a change before files count as written. */
const settleMs = 100;
/** Milliseconds by which the time of a change can lie behind the clock: file systems take it from the last tick of the kernel. */
const tickMs = 10;
/** Milliseconds between two polls where the system cannot report changes. */
const pollMs = 2000;
/** Most folders and files that are watched; others are not. */
const maxFolders = 5000;
const maxFiles = 50_000;

export interface WatchEvents {
  /** Files differ from when `watch` was called, and have been the same for a moment. */
  changed(): void;
  /** The system does not report changes of some folder; it is polled every two seconds. */
  polling(reason: string): void;
}

/**
 * Watches files, matches of globs, and the `.proto` files below folders. Symbolic links are followed and may be swapped
 * anywhere on the way to a file, as Kubernetes does with mounted ConfigMaps and deployments with `current`.
 */
export class FileWatcher {
  readonly #events: WatchEvents;
  #paths: readonly string[] = [];
  readonly #watchers = new Map<string, { readonly identity: string; readonly watcher: FSWatcher }>();
  #fingerprint = "";
  /** The fingerprint of files that changed while they were read. */
  #missed = "";
  #timer: NodeJS.Timeout | undefined;
  #polling = false;
  #closed = false;
  /** Looks run one after the other. */
  #looking: Promise<void> = Promise.resolve();

  constructor(events: WatchEvents) {
    this.#events = events;
  }

  /**
   * Watches these from now on, instead of those before. Resolves when a change from now on is noticed.
   * @param readAt when they began to be read, milliseconds since 1970: later changes are reported
   */
  watch(paths: Iterable<string>, readAt: number): Promise<void> {
    this.#paths = [...new Set(paths)].toSorted();
    return this.#inTurn(async () => {
      let found = await scan(this.#paths);
      // Changes before a folder was watched are found by the look, changes after it are reported.
      if (this.#follow(found.folders)) {
        found = await scan(this.#paths);
        this.#follow(found.folders);
      }
      const { fingerprint, newest } = found;
      // Once: the clock of a file system may be ahead.
      const missed = newest >= readAt - tickMs && fingerprint !== this.#missed;
      if (missed) this.#missed = fingerprint;
      this.#fingerprint = missed ? "" : fingerprint;
      if (missed) this.#scanAfter(settleMs);
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const { watcher } of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #inTurn(look: () => Promise<void>): Promise<void> {
    this.#looking = this.#looking.then(async () => {
      if (!this.#closed) await look();
    });
    return this.#looking;
  }

  /** @returns whether folders are watched that were not */
  #follow(folders: ReadonlySet<string>): boolean {
    if (this.#closed) return false;
    for (const [folder, { identity, watcher }] of this.#watchers) {
      // A watcher stays with a folder that another one has taken the name of.
      if (folders.has(folder) && identity === identityOf(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    const more = [...folders].filter(folder => !this.#watchers.has(folder));
    for (const folder of more) this.#open(folder);
    if (this.#polling) this.#scanAfter(pollMs);
    return more.some(folder => this.#watchers.has(folder));
  }

  #open(folder: string): void {
    const identity = identityOf(folder);
    // The nearest folder that exists is watched, too.
    if (identity === undefined) return;
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#scanAfter(settleMs));
      watcher.on("error", error => {
        watcher.close();
        this.#watchers.delete(folder);
        this.#poll(error.message);
      });
      this.#watchers.set(folder, { identity, watcher });
    } catch (error) {
      this.#poll(errorMessage(error));
    }
  }

  #poll(reason: string): void {
    if (!this.#polling) this.#events.polling(reason);
    this.#polling = true;
  }

  #scanAfter(ms: number): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#inTurn(() => this.#look()), ms).unref();
  }

  async #look(): Promise<void> {
    const first = await scan(this.#paths);
    if (first.fingerprint !== this.#fingerprint) {
      await new Promise(resolve => setTimeout(resolve, settleMs));
      const { fingerprint } = await scan(this.#paths);
      if (this.#closed) return;
      // The file is still being written.
      if (fingerprint !== first.fingerprint) return this.#scanAfter(settleMs);
      this.#fingerprint = fingerprint;
      this.#events.changed();
    }
    this.#follow(first.folders);
  }
}

interface Scan {
  /** Where something has to change for a path to mean something else. */
  readonly folders: ReadonlySet<string>;
  /** Differs where a file differs in identity, size or time of change. */
  readonly fingerprint: string;
  /** When the last of them was changed, milliseconds since 1970; 0 without files. */
  readonly newest: number;
}

interface Seen {
  readonly folders: Set<string>;
  readonly marks: string[];
  newest: number;
}

async function scan(paths: readonly string[]): Promise<Scan> {
  const seen: Seen = { folders: new Set(), marks: [], newest: 0 };
  const named = new Set(paths);
  for (const path of paths) {
    for (const folder of turningPoints(path)) seen.folders.add(folder);
    if (isGlob(path)) lookForMatches(path, named, seen);
    else await look(path, seen);
  }
  return { folders: seen.folders, fingerprint: seen.marks.join("\n"), newest: seen.newest };
}

/** @param named files that are looked at by their own names; others have come while those were read */
function lookForMatches(glob: string, named: ReadonlySet<string>, seen: Seen): void {
  const { folders, marks } = seen;
  const matches = expandGlob(glob);
  for (const file of matches.files.filter(each => !named.has(each)))
    seen.newest = Math.max(seen.newest, statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  for (const folder of matches.folders) {
    if (folders.size >= maxFolders) return;
    folders.add(folder);
  }
  marks.push(`${glob} ${matches.files.join(" ")}`);
}

async function look(path: string, seen: Seen): Promise<void> {
  const { folders, marks } = seen;
  if (marks.length >= maxFiles) return;
  try {
    const stats = await stat(path, { bigint: true });
    if (!stats.isDirectory()) {
      marks.push(`${path} ${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeNs}`);
      seen.newest = Math.max(seen.newest, Number(stats.mtimeMs));
      return;
    }
    if (folders.size >= maxFolders) return;
    folders.add(path);
    const entries = await readdir(path, { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1)))
      if (!entry.isFile() || entry.name.endsWith(".proto")) await look(join(path, entry.name), seen);
  } catch {
    marks.push(`${path} is missing`);
  }
}

function identityOf(folder: string): string | undefined {
  const stats = statSync(folder, { bigint: true, throwIfNoEntry: false });
  return stats?.isDirectory() ? `${stats.dev} ${stats.ino}` : undefined;
}

/** The folder of a path, those of the symbolic links on the way to it, and where folders are missing the one above. */
function turningPoints(path: string): string[] {
  const folders = [dirname(path)];
  for (let at = dirname(path); at !== dirname(at); at = dirname(at)) {
    try {
      if (lstatSync(at).isSymbolicLink()) folders.push(dirname(at));
    } catch {
      folders.push(dirname(at));
    }
  }
  return folders;
}
