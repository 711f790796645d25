import { decodeLocations, type LocationProto } from "./descriptor-proto.js";

export interface Place {
  readonly comment: string;
  /** From 1; 0 where unknown. */
  readonly line: number;
  readonly column: number;
}

const NOWHERE: Place = { comment: "", line: 0, column: 0 };

/** Comments and lines of one file's elements, decoded when first asked for. */
export class SourceInfo {
  #places: Map<string, Place> | undefined;

  /** @param bytes a serialized `google.protobuf.SourceCodeInfo` */
  constructor(readonly bytes: Uint8Array | undefined) {}

  /** @param path field numbers and indexes from the file down, joined by commas */
  at(path: string): Place {
    this.#places ??= decode(this.bytes);
    return this.#places.get(path) ?? NOWHERE;
  }
}

function decode(bytes: Uint8Array | undefined): Map<string, Place> {
  const places = new Map<string, Place>();
  if (bytes === undefined || bytes.length === 0) return places;
  for (const { path, span, leadingComments, trailingComments } of locations(bytes)) {
    // Elements have a path of even length; the others are their names, numbers and types.
    if (path.length % 2 !== 0) continue;
    const [line = -1, column = -1] = span;
    const text = leadingComments ? leadingComments : (trailingComments ?? "");
    places.set(path.join(","), { comment: clean(text), line: line + 1, column: column + 1 });
  }
  return places;
}

/** Source info is only a help: one that cannot be read is as good as none. */
function locations(bytes: Uint8Array): LocationProto[] {
  try {
    return decodeLocations(bytes);
  } catch {
    return [];
  }
}

/** Takes off the space that follows comment marks, and blank lines around the text. */
function clean(comment: string): string {
  if (comment === "") return "";
  return comment
    .replace(/^ /gm, "")
    .replace(/[ \t\r]+$/gm, "")
    .replace(/^\n+|\n+$/g, "");
}
