import { readFile, stat } from "node:fs/promises";
import { inTurns, type Pace, type Steps } from "../net/pace.js";
import { decodeFileInSteps, decodeSet } from "./descriptor-proto.js";
import type { Problems } from "./problems.js";
import { readFailure } from "./proto-folder.js";
import type { SourceFile } from "./source-file.js";
import { markOptional } from "./synthetic-oneof.js";

const MAX_FILES = 50_000;
const MAX_SET_SIZE = 512 * 1024 * 1024;

/** Reads a `google.protobuf.FileDescriptorSet`, as `protoc --descriptor_set_out` and `buf build` write it. */
export async function readSet(file: string, pace: Pace, problems: Problems): Promise<SourceFile[]> {
  let bytes: Uint8Array;
  try {
    const { size } = await stat(file);
    if (size > MAX_SET_SIZE) {
      problems.error({
        message: `the file has ${size} bytes, more than ${MAX_SET_SIZE}`,
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
    files = decodeSet(bytes);
  } catch {
    problems.error({
      message: "the file is not a serialized google.protobuf.FileDescriptorSet",
      position: at(file),
    });
    return [];
  }
  if (files.length === 0)
    problems.warning({ message: "the descriptor set has no files", position: at(file) });
  return inTurns(pace, readFiles("set", file, files, problems));
}

/** @param files serialized `google.protobuf.FileDescriptorProto`s */
export function* readFiles(
  source: "set" | "files",
  origin: string,
  files: readonly Uint8Array[],
  problems: Problems,
): Steps<SourceFile[]> {
  if (files.length > MAX_FILES) {
    problems.error({ message: `more than ${MAX_FILES} descriptor files`, position: at(origin) });
    return [];
  }
  const read: SourceFile[] = [];
  for (const [index, raw] of files.entries()) {
    try {
      const proto = yield* decodeFileInSteps(raw);
      if (proto.name === "") throw new RangeError("no name");
      if (source === "files") yield* markOptional(proto);
      const { name } = proto;
      read.push({
        name,
        source,
        origin,
        proto,
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
