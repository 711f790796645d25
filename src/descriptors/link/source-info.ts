import { atOnce, type Steps } from "../../net/pace.js";
import { decodeLocations } from "../descriptor-codec.js";
import type { LocationProto } from "../descriptor-proto.js";

export interface Place {
  readonly comment: string;
  /** From 1; 0 where unknown. */
  readonly line: number;
  readonly column: number;
}

const noBytes = new Uint8Array();
export const nowhere: Place = { comment: "", line: 0, column: 0 };

/** Yields the positions of one file. If it throws, there are none: source info is optional. */
export type ReadLocations = () => Steps<readonly LocationProto[]>;

/** Comments and lines of one file's elements, read at their first use. */
export class SourceInfo {
  #places: Map<string, Place> | undefined;

  constructor(readonly read: ReadLocations) {}

  /** @param bytes a serialized `google.protobuf.SourceCodeInfo` */
  static of(bytes: Uint8Array | undefined): SourceInfo {
    return new SourceInfo(() => decodeLocations(bytes ?? noBytes));
  }

  /** @param path field numbers and indexes from the file down, joined by commas */
  at(path: string): Place {
    if (this.#places === undefined) atOnce(this.decode());
    return this.#places?.get(path) ?? nowhere;
  }

  /** Decodes now the rest that is else decoded at its first use. */
  *decode(): Steps {
    this.#places ??= yield* placesOf(this.read);
  }
}

function* placesOf(read: ReadLocations): Steps<Map<string, Place>> {
  const places = new Map<string, Place>();
  for (const { path, span, leadingComments, trailingComments } of yield* locations(read)) {
    yield 1;
    // Elements have a path of even length; the others are their names, numbers and types.
    if (path.length % 2 !== 0) continue;
    const [line = -1, column = -1] = span;
    const text = leadingComments ? leadingComments : (trailingComments ?? "");
    places.set(path.join(","), { comment: clean(text), line: line + 1, column: column + 1 });
  }
  return places;
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
