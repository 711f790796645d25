import { dirname, join } from "node:path";
import { type FolderEntry, readdirSync, statSync } from "../net/files.js";

/** Most files that a glob may match, and most entries of folders that are looked at for it. */
const maxMatches = 1000;
const maxEntries = 20_000;
const maxDepth = 32;

/** Whether a path means more than the file of that name. */
export function isGlob(path: string): boolean {
  return /[*?]/.test(path);
}

/** The pattern of a glob: `*` and `?` stand for parts of a segment, `**` for any number of segments. */
export function globPattern(glob: string): RegExp {
  const parts: Readonly<Record<string, string>> = {
    "**/": "(?:.*/)?",
    "**": ".*",
    "*": "[^/]*",
    "?": "[^/]",
  };
  const source = glob.replace(/\*\*\/|\*\*|\*|\?|[.+^${}()|[\]\\]/g, part => parts[part] ?? `\\${part}`);
  return new RegExp(`^${source}$`);
}

interface GlobMatches {
  /** Sorted by path. */
  readonly files: readonly string[];
  /** Where a file that matches may come or go. */
  readonly folders: readonly string[];
  /** Undefined where all was looked at. */
  readonly problem: string | undefined;
}

interface Walk {
  readonly files: Set<string>;
  readonly folders: Set<string>;
  readonly entered: Set<string>;
  entries: number;
}

/**
 * The regular files that an absolute glob matches. Names that begin with a dot are matched only where the glob has the
 * dot, too: the folders behind Kubernetes' mounts and the files of editors are left out. Never throws; a folder that
 * cannot be read has no files.
 */
export function expandGlob(glob: string): GlobMatches {
  const segments = glob.split("/").filter(segment => segment !== "");
  const walk: Walk = { files: new Set(), folders: new Set(), entered: new Set(), entries: 0 };
  descend("/", segments, walk, 0);
  const problem =
    walk.files.size > maxMatches
      ? `matches more than ${maxMatches} files`
      : walk.entries > maxEntries
        ? `looks at more than ${maxEntries} files and folders`
        : undefined;
  return { files: [...walk.files].sort(), folders: [...walk.folders], problem };
}

function descend(folder: string, [segment, ...rest]: readonly string[], walk: Walk, depth: number): void {
  if (segment === undefined || depth > maxDepth || full(walk)) return;
  const key = `${folder}\0${rest.length}`;
  if (walk.entered.has(key)) return;
  walk.entered.add(key);
  if (!isGlob(segment)) {
    const path = join(folder, segment);
    if (rest.length > 0) descend(path, rest, walk, depth);
    else found(path, walk);
    return;
  }
  if (segment === "**") descend(folder, rest.length > 0 ? rest : ["*"], walk, depth);
  const pattern = globPattern(segment);
  for (const entry of entriesOf(folder, walk)) {
    if (++walk.entries > maxEntries) return;
    const { name } = entry;
    if (name.startsWith(".") && !segment.startsWith(".")) continue;
    const path = join(folder, name);
    if (segment === "**") {
      // Links are not followed here: they may lead round.
      if (entry.isDirectory()) descend(path, [segment, ...rest], walk, depth + 1);
    } else if (pattern.test(name)) {
      if (rest.length > 0) descend(path, rest, walk, depth + 1);
      else found(path, walk);
    }
  }
}

function full({ files, entries }: Walk): boolean {
  return files.size > maxMatches || entries > maxEntries;
}

function found(path: string, walk: Walk): void {
  walk.folders.add(dirname(path));
  try {
    if (statSync(path).isFile()) walk.files.add(path);
  } catch {
    // A link that leads nowhere, or a file that has just gone.
  }
}

function entriesOf(folder: string, { folders }: Walk): FolderEntry[] {
  folders.add(folder);
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
