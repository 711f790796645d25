import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { globPattern } from "../../config/glob.js";
import {
  type FileStats,
  readdirSync,
  readFile,
  readFileSync,
  realpathSync,
  stat,
  statSync,
} from "../../net/files.js";
import { inTurns, type Pace, type Steps } from "../../net/pace.js";
import {
  decodeLocations,
  decodeSetInSteps,
  type Range,
  readFileInSteps,
  withoutSourceInfo,
} from "../descriptor-codec.js";
import type { FieldProto, FileProto, LocationProto, MessageProto } from "../descriptor-proto.js";
import type { DiagnosticList } from "../diagnostic-list.js";
import { LazyMessage } from "../lazy-proto.js";
import { type ReadLocations, SourceInfo } from "../link/source-info.js";
import { parseInSteps } from "../parse/file.js";
import { SyntaxFault } from "../parse/scanner.js";
import type { SourceFile } from "../source-file.js";

const maxFiles = 50_000;
const maxFileBytes = 16 * 1024 * 1024;
const maxFolderDepth = 64;
/** Units that a call of the file system takes. */
export const unitsPerLook = 10;
const bytesPerUnit = 2_000;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Import paths of all `.proto` files below a folder, sorted. Hidden folders and `node_modules` are left out; a folder
 * that is reached twice through symbolic links is read once.
 */
export function* listProtos(folder: string, problems: DiagnosticList): Steps<string[]> {
  const found: string[] = [];
  const entered = new Set<string>();
  const walk = function* (path: string, name: string, depth: number): Steps {
    try {
      yield 2 * unitsPerLook;
      const real = realpathSync(path);
      if (entered.has(real) || depth > maxFolderDepth) return;
      entered.add(real);
      for (const entry of readdirSync(path)) {
        if (found.length > maxFiles) return;
        yield entry.isSymbolicLink() ? unitsPerLook : 1;
        if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
        const child = join(path, entry.name);
        const childName = name === "" ? entry.name : `${name}/${entry.name}`;
        const target = entry.isSymbolicLink() ? entryAt(child) : entry;
        if (target?.isDirectory()) yield* walk(child, childName, depth + 1);
        else if (target?.isFile() && entry.name.endsWith(".proto")) found.push(childName);
      }
    } catch (error) {
      const message = `cannot read the folder: ${readFailure(error)}`;
      problems.error({ message, position: { file: path, line: 0, column: 0 } });
    }
  };
  yield* walk(folder, "", 0);
  const position = { file: folder, line: 0, column: 0 };
  if (found.length > maxFiles) {
    problems.error({ message: `more than ${maxFiles} .proto files`, position });
    return [];
  }
  if (found.length === 0 && problems.errors === 0)
    problems.warning({ message: "the folder has no .proto files", position });
  return found.sort();
}

/**
 * The names that fit no glob: `*` and `?` stand for parts of a segment, `**` for any number of segments. A glob that
 * fits nothing is a warning.
 */
export function withoutExcluded(
  names: readonly string[],
  globs: readonly string[],
  folder: string,
  problems: DiagnosticList,
): readonly string[] {
  let left = names;
  for (const glob of globs) {
    const pattern = globPattern(glob);
    if (!names.some(name => pattern.test(name))) {
      const message = `exclude: "${glob}" fits no .proto file; expected a path below the folder, such as preview/**`;
      problems.warning({ message, position: { file: folder, line: 0, column: 0 } });
    }
    left = left.filter(name => !pattern.test(name));
  }
  return left;
}

/** Whether the folder has such a file. Names that lead out of the folder are never found. */
export function hasProto(folder: string, name: string): boolean {
  if (name.split("/").includes("..")) return false;
  return entryAt(join(folder, name))?.isFile() ?? false;
}

/**
 * Reads and parses one file; undefined, with the problem reported, where that fails.
 * @param comments whether comments and lines are kept; else they are read from the file at their first use
 */
export function* readProto(
  folder: string,
  name: string,
  source: "bundle" | "protos",
  comments: boolean,
  problems: DiagnosticList,
): Steps<SourceFile | undefined> {
  const origin = join(folder, name);
  const fail = (message: string, line = 0, column = 0): undefined => {
    problems.error({ message, position: { file: origin, line, column } });
  };
  let bytes: Uint8Array;
  let stamp: FileStats;
  try {
    stamp = statSync(origin);
    const { size } = stamp;
    if (size > maxFileBytes) return fail(`the file has ${size} bytes, more than ${maxFileBytes}`);
    bytes = readFileSync(origin);
    yield 2 * unitsPerLook + size / bytesPerUnit;
  } catch (error) {
    return fail(`cannot read the file: ${readFailure(error)}`);
  }
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return fail("the file is not valid UTF-8");
  }
  try {
    const parsed = yield* parseInSteps(text, comments);
    parsed.proto.name = name;
    const { proto } = parsed;
    return {
      name,
      source,
      origin,
      proto,
      info: comments ? SourceInfo.of(proto.sourceCodeInfo) : new SourceInfo(() => locationsIn(origin, stamp)),
      options: new Set(),
      parsed,
      raw: undefined,
      dropped: new Set(),
      adopted: new Set(),
      incomplete: false,
    };
  } catch (error) {
    if (error instanceof SyntaxFault) return fail(error.message, error.line, error.column);
    throw error;
  }
}

/** The positions of a file that was parsed without them; none where it has changed since. */
function* locationsIn(origin: string, known: FileStats): Steps<readonly LocationProto[]> {
  if (!isUnchanged(statSync(origin), known)) return [];
  const { proto } = yield* parseInSteps(utf8.decode(readFileSync(origin)));
  return yield* decodeLocations(proto.sourceCodeInfo ?? new Uint8Array());
}

function isUnchanged({ size, mtimeMs, ino }: FileStats, known: FileStats): boolean {
  return size === known.size && mtimeMs === known.mtimeMs && ino === known.ino;
}

/** The entry at a path; undefined for a broken or circular link, or a path that cannot be one. */
function entryAt(path: string): FileStats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** Why reading failed, in words. */
function readFailure(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return "it does not exist";
  if (code === "EACCES") return "permission denied";
  if (code === "ENOTDIR") return "it is not a folder";
  return message;
}

const maxSetBytes = 512 * 1024 * 1024;

/**
 * Reads a `google.protobuf.FileDescriptorSet`, as `protoc --descriptor_set_out` and `buf build` write it.
 * @param comments whether comments and lines are kept; else they are read from the file at their first use
 */
export async function readSet(
  file: string,
  comments: boolean,
  pace: Pace,
  problems: DiagnosticList,
): Promise<SourceFile[]> {
  let bytes: Uint8Array;
  let stamp: FileStats;
  try {
    stamp = await stat(file);
    const { size } = stamp;
    if (size > maxSetBytes) {
      problems.error({
        message: `the file has ${size} bytes, more than ${maxSetBytes}`,
        position: at(file),
      });
      return [];
    }
    bytes = await readFile(file);
  } catch (error) {
    problems.error({ message: `cannot read the descriptor set: ${readFailure(error)}`, position: at(file) });
    return [];
  }
  let files: Uint8Array[];
  try {
    files = await inTurns(pace, decodeSetInSteps(bytes, maxFiles));
  } catch {
    problems.error({
      message: "the file is not a serialized google.protobuf.FileDescriptorSet",
      position: at(file),
    });
    return [];
  }
  if (files.length === 0)
    problems.warning({ message: "the descriptor set has no files", position: at(file) });
  if (comments) return inTurns(pace, readFiles("set", file, files, problems));
  const infos: ReadLocations[] = [];
  const stripped: Uint8Array[] = [];
  for (const each of files) {
    const { left, ranges } = withoutSourceInfo(each);
    const start = each.byteOffset - bytes.byteOffset;
    stripped.push(left);
    infos.push(() => locationsInSet(file, stamp, ranges, start));
    if (pace.spent(left.length / bytesPerUnit)) await pace.nextTurn();
  }
  return inTurns(pace, readFiles("set", file, stripped, problems, infos));
}

/** The source info of one file of a set that was read without it; none where the set has changed since. */
function* locationsInSet(
  file: string,
  known: FileStats,
  ranges: readonly Range[],
  start: number,
): Steps<readonly LocationProto[]> {
  const handle = openSync(file, "r");
  try {
    if (!isUnchanged(fstatSync(handle), known)) return [];
    const parts = ranges.map(range => {
      const part = Buffer.alloc(range.end - range.start);
      readSync(handle, part, 0, part.length, start + range.start);
      return part;
    });
    return yield* decodeLocations(Buffer.concat(parts));
  } finally {
    closeSync(handle);
  }
}

/**
 * @param files serialized `google.protobuf.FileDescriptorProto`s
 * @param infos where the source info of each is, if not in itself
 */
export function* readFiles(
  source: "set" | "files",
  origin: string,
  files: readonly Uint8Array[],
  problems: DiagnosticList,
  infos: readonly ReadLocations[] = [],
): Steps<SourceFile[]> {
  if (files.length > maxFiles) {
    problems.error({ message: `more than ${maxFiles} descriptor files`, position: at(origin) });
    return [];
  }
  const read: SourceFile[] = [];
  for (const [index, raw] of files.entries()) {
    try {
      const { proto, options } = yield* readFileInSteps(raw);
      if (proto.name === "") throw new RangeError("no name");
      if (source === "files") yield* markOptional(proto);
      const { name } = proto;
      const info = infos[index];
      read.push({
        name,
        source,
        origin,
        proto,
        info: info === undefined ? SourceInfo.of(proto.sourceCodeInfo) : new SourceInfo(info),
        options,
        parsed: undefined,
        raw,
        dropped: new Set(),
        adopted: new Set(),
        incomplete: false,
      });
    } catch {
      const message = `entry ${index + 1} is not a serialized google.protobuf.FileDescriptorProto`;
      problems.error({ message, position: at(origin) });
    }
  }
  return read;
}

function at(file: string) {
  return { file, line: 0, column: 0 };
}

/**
 * Marks the proto3 `optional` fields of a file whose maker left the mark out: such a field is the only one of a oneof
 * `_name`, as protoc makes it (https://github.com/protocolbuffers/protobuf/blob/main/docs/implementing_proto3_presence.md).
 */
function* markOptional({ syntax, messageType }: FileProto): Steps {
  if (syntax === "proto3") for (const message of messageType) yield* markIn(message);
}

function* markIn(message: MessageProto): Steps {
  if (message instanceof LazyMessage && !message.inOneofs) {
    for (const nested of message.nestedType) yield* markIn(nested);
    return;
  }
  const { field, oneofDecl, nestedType } = message;
  const members: FieldProto[] = [];
  const counts = new Map<number | undefined, number>();
  for (const each of field) {
    yield 0.1;
    if (!Object.hasOwn(each, "oneofIndex") || each.proto3Optional) continue;
    members.push(each);
    counts.set(each.oneofIndex, (counts.get(each.oneofIndex) ?? 0) + 1);
  }
  for (const member of members) {
    yield 0.1;
    const { name, oneofIndex = 0 } = member;
    if (counts.get(oneofIndex) === 1 && oneofDecl[oneofIndex]?.name === `_${name}`)
      member.proto3Optional = true;
  }
  for (const nested of nestedType) yield* markIn(nested);
}
