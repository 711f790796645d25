import type { FileProto } from "./descriptor-proto.js";
import type { ParsedFile } from "./syntax.js";

/** One descriptor file as loaded, before and while it is linked. */
export interface SourceFile {
  /** Import path. */
  readonly name: string;
  /** Where it was loaded from: the path of the `.proto` file, of the set, or what the caller gave. */
  readonly origin: string;
  /** True for the files of this package, which give way to any other definition. */
  readonly bundled: boolean;
  readonly proto: FileProto;
  /** Set for files that were parsed from text, until they are linked. */
  parsed: ParsedFile | undefined;
  /** As received; undefined for parsed files. */
  readonly raw: Uint8Array | undefined;
  /** Top-level elements that another file already defines: not part of the model. */
  readonly dropped: Set<object>;
  /** True where an import is missing, so that unknown types are only a consequence. */
  incomplete: boolean;
}
