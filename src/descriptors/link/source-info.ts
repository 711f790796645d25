import { atOnce, type Steps } from "../../net/pace.js";
import { decodeLocations } from "../descriptor-codec.js";
import type { LocationProto } from "../descriptor-proto.js";

export interface SourceLocation {
  readonly comment: string;
  /** From 1; 0 where unknown. */
  readonly line: number;
  readonly column: number;
}

const noBytes = new Uint8Array();
export const noLocation: SourceLocation = { comment: "", line: 0, column: 0 };

/** Yields the positions of one file. If it throws, there are none: source info is optional. */
export type ReadLocations = () => Steps<readonly LocationProto[]>;

/** Comments and lines of one file's elements, read at their first use. */
export class SourceInfo {
  #byPath: Map<string, SourceLocation> | undefined;

  constructor(readonly read: ReadLocations) {}

  /** @param bytes a serialized `google.protobuf.SourceCodeInfo` */
  static of(bytes: Uint8Array | undefined): SourceInfo {
    return new SourceInfo(() => decodeLocations(bytes ?? noBytes));
  }

  /** @param path field numbers and indexes from the file down, joined by commas */
  at(path: string): SourceLocation {
    if (this.#byPath === undefined) atOnce(this.decode());
    return this.#byPath?.get(path) ?? noLocation;
  }

  /** Decodes now the rest that is else decoded at its first use. */
  *decode(): Steps {
    this.#byPath ??= yield* locationsOf(this.read);
  }
}

function* locationsOf(read: ReadLocations): Steps<Map<string, SourceLocation>> {
  const byPath = new Map<string, SourceLocation>();
  for (const { path, span, leadingComments, trailingComments } of yield* locations(read)) {
    yield 1;
    // Elements have a path of even length; the others are their names, numbers and types.
    if (path.length % 2 !== 0) continue;
    const [line = -1, column = -1] = span;
    const text = leadingComments ? leadingComments : (trailingComments ?? "");
    byPath.set(path.join(","), { comment: clean(text), line: line + 1, column: column + 1 });
  }
  return byPath;
}

function* locations(read: ReadLocations): Steps<readonly LocationProto[]> {
  try {
    return yield* read();
  } catch {
    return [];
  }
}

/** Takes off the space that follows comment marks, and blank lines around the text. */
function clean(comment: string): string {
  if (comment === "") return "";
  const lines = comment.split("\n").map(line => (line.startsWith(" ") ? line.slice(1) : line).trimEnd());
  const first = lines.findIndex(line => line !== "");
  const last = lines.findLastIndex(line => line !== "");
  return first < 0 ? "" : lines.slice(first, last + 1).join("\n");
}
