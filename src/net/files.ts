import { hash } from "node:crypto";
import * as fs from "node:fs";
import * as asynchronous from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { deserialize, serialize } from "node:v8";

/**
 * Files that a configuration consists of. The files read by a load can be recorded, and another process can load the
 * same content, even if the files have changed meanwhile.
 */

/** Bytes of files that are kept; of a configuration with more nothing is. */
const maxKeptBytes = 192 << 20;

/** The result of one access to the file system. */
type Look = { readonly value: unknown } | { readonly code: string; readonly message: string };

/** The record of all files that a load reads. */
export class FileRecord {
  readonly looks = new Map<string, Look>();
  readonly #digests = new Map<string, string>();
  #bytes = 0;

  /** The same where the same files had the same contents. */
  get digest(): string {
    return hash("sha256", JSON.stringify([...this.#digests].sort()));
  }

  /** For `replayFiles`; undefined where it is too much to be kept. */
  toBytes(): Uint8Array | undefined {
    return this.#bytes > maxKeptBytes ? undefined : serialize(this.looks);
  }

  keep(key: string, look: Look): void {
    if ("value" in look && look.value instanceof Uint8Array) {
      if (!this.looks.has(key)) this.#bytes += look.value.length;
      this.#digests.set(key, hash("sha256", look.value));
    }
    if (this.#bytes > maxKeptBytes) this.looks.clear();
    else this.looks.set(key, look);
  }

  /** Keeps nothing any more. */
  drop(): void {
    if (recording === this) recording = undefined;
    this.looks.clear();
  }
}

let recording: FileRecord | undefined;
let replayed: ReadonlyMap<string, Look> | undefined;
/** Has copies of replayed files. */
let copies: string | undefined;

/** Everything that is read from now on, until it is dropped or another record begins. */
export function recordFiles(): FileRecord {
  recording = new FileRecord();
  return recording;
}

/**
 * Until the end of some work, files are as they were recorded, those that were not looked at then as they are.
 * @param record undefined for files as they are
 */
export async function replayFiles<T>(record: Uint8Array | undefined, work: () => Promise<T>): Promise<T> {
  if (record === undefined) return work();
  replayed = deserialize(record) as ReadonlyMap<string, Look>;
  try {
    return await work();
  } finally {
    replayed = undefined;
    if (copies !== undefined) fs.rmSync(copies, { recursive: true, force: true });
    copies = undefined;
  }
}

/** Whether a file is not read from the disk now. */
export function isReplayed(path: string): boolean {
  return replayed?.has(keyOf("read", path)) ?? false;
}

/** A path at which other code can read the content that `readFileSync` returns now, as long as files are replayed. */
export function pathFor(path: string): string {
  const look = replayed?.get(keyOf("read", path));
  if (look === undefined || !("value" in look)) return path;
  const content = Buffer.from(look.value as Uint8Array);
  try {
    if (fs.readFileSync(path).equals(content)) return path;
  } catch {
    // It is not there any more.
  }
  try {
    copies ??= fs.mkdtempSync(join(tmpdir(), "protogate-"));
    const copy = join(copies, String(fs.readdirSync(copies).length));
    fs.writeFileSync(copy, content, { mode: 0o600 });
    return copy;
  } catch {
    // Nothing can be written here, as in a container whose file system is read-only: the file on the disk has to do.
    return path;
  }
}

/** The type, size and times of a path. */
export interface FileStats {
  readonly size: number;
  readonly mtimeMs: number;
  readonly ino: number;
  isFile(): boolean;
  isDirectory(): boolean;
}

/** An entry of a folder. */
export interface FolderEntry {
  readonly name: string;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

type Kind = "file" | "folder" | "link" | "other";

interface StatResult {
  readonly size: number;
  readonly mtimeMs: number;
  readonly ino: number;
  readonly kind: Kind;
}

interface NamedKind {
  readonly name: string;
  readonly kind: Kind;
}

/** The functions below are those of `node:fs`. */
export function statSync(path: string): FileStats {
  return statsOf(kept("stat", path, () => statResult(fs.statSync(path))));
}

export async function stat(path: string): Promise<FileStats> {
  return statsOf(await keptAsync("stat", path, async () => statResult(await asynchronous.stat(path))));
}

export function readFileSync(path: string): Buffer {
  return bytesOf(kept("read", path, () => fs.readFileSync(path)));
}

export async function readFile(path: string): Promise<Buffer> {
  return bytesOf(await keptAsync("read", path, () => asynchronous.readFile(path)));
}

export function realpathSync(path: string): string {
  return kept("real", path, () => fs.realpathSync(path));
}

export function existsSync(path: string): boolean {
  return kept("exists", path, () => fs.existsSync(path));
}

/** @throws the system's error where it cannot be read */
export function requireReadable(path: string): void {
  kept("access", path, () => void fs.accessSync(path, fs.constants.R_OK));
}

export function readdirSync(path: string): FolderEntry[] {
  const entries = kept("list", path, () =>
    fs.readdirSync(path, { withFileTypes: true }).map(each => ({ name: each.name, kind: kindOf(each) })),
  );
  return entries.map(({ name, kind }: NamedKind) => ({ name, ...looksLike(kind) }));
}

/** The content of a regular file; undefined where it is none, or longer. Opening a pipe would else wait for a writer. */
export function readBoundedSync(path: string, maxBytes: number): Buffer | undefined {
  const bytes = kept("read", path, () => readBounded(path, maxBytes));
  return bytes === undefined || bytes.length > maxBytes ? undefined : bytesOf(bytes);
}

function readBounded(path: string, maxBytes: number): Buffer | undefined {
  const descriptor = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  try {
    if (!fs.fstatSync(descriptor).isFile()) return undefined;
    const buffer = Buffer.alloc(maxBytes + 1);
    let length = 0;
    for (;;) {
      const read = fs.readSync(descriptor, buffer, length, buffer.length - length, null);
      length += read;
      if (length > maxBytes) return undefined;
      if (read === 0) return Buffer.from(buffer.subarray(0, length));
    }
  } finally {
    fs.closeSync(descriptor);
  }
}

function keyOf(what: string, path: string): string {
  return `${what} ${resolve(path)}`;
}

function kept<T>(what: string, path: string, look: () => T): T {
  if (recording === undefined && replayed === undefined) return look();
  const key = keyOf(what, path);
  const earlier = replayed?.get(key);
  if (earlier !== undefined) return resultOf(earlier);
  try {
    return keep(key, look());
  } catch (error) {
    keepFailure(key, error);
    throw error;
  }
}

async function keptAsync<T>(what: string, path: string, look: () => Promise<T>): Promise<T> {
  const key = keyOf(what, path);
  const earlier = replayed?.get(key);
  if (earlier !== undefined) return resultOf(earlier);
  try {
    return keep(key, await look());
  } catch (error) {
    keepFailure(key, error);
    throw error;
  }
}

function resultOf<T>(look: Look): T {
  if ("value" in look) return look.value as T;
  throw Object.assign(new Error(look.message), { code: look.code });
}

function keep<T>(key: string, value: T): T {
  recording?.keep(key, { value });
  return value;
}

function keepFailure(key: string, error: unknown): void {
  const { code = "EIO", message } = error as NodeJS.ErrnoException;
  recording?.keep(key, { code, message });
}

/** Replayed content shares its memory with all other files. */
function bytesOf(value: Uint8Array): Buffer {
  return replayed === undefined ? (value as Buffer) : Buffer.from(value);
}

function statResult(stats: fs.Stats): StatResult {
  return { size: stats.size, mtimeMs: stats.mtimeMs, ino: stats.ino, kind: kindOf(stats) };
}

function kindOf(of: Pick<fs.Stats, "isFile" | "isDirectory" | "isSymbolicLink">): Kind {
  if (of.isFile()) return "file";
  if (of.isDirectory()) return "folder";
  return of.isSymbolicLink() ? "link" : "other";
}

function statsOf({ kind, ...result }: StatResult): FileStats {
  return { ...result, ...looksLike(kind) };
}

function looksLike(kind: Kind) {
  return {
    isFile: () => kind === "file",
    isDirectory: () => kind === "folder",
    isSymbolicLink: () => kind === "link",
  };
}
