import { unwatchFile, watchFile } from "node:fs";

/** Milliseconds between two looks. Looking finds also what notifications miss: network drives, swapped symbolic links. */
const interval = 1000;

/** Calls `changed` after the file has changed, appeared or gone; the returned function ends that. */
export function watchChanges(file: string, changed: () => void): () => void {
  const listener = (): void => changed();
  watchFile(file, { interval, persistent: false }, listener);
  return () => unwatchFile(file, listener);
}
