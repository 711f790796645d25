import type { FileProto } from "./descriptor-proto.js";
import type { ParsedFile } from "./syntax.js";

/** The kind of input that a file is from; `bundle` for the files of this package. */
export type Source = "bundle" | "protos" | "set" | "files";

/** One descriptor file as loaded, before and while it is linked. */
export interface SourceFile {
  /**
   * Name in the model: the import path, which `proto.name` keeps, or that with a prefix where another input has a file
   * of the same path.
   */
  name: string;
  readonly source: Source;
  /** Where it was loaded from: the path of the `.proto` file, of the set, or what the caller gave. */
  readonly origin: string;
  readonly proto: FileProto;
  /** Set for files that were parsed from text, until they are linked. */
  parsed: ParsedFile | undefined;
  /** As received; undefined for parsed files. */
  readonly raw: Uint8Array | undefined;
  /** Top-level elements that another file already defines: not part of the model. */
  readonly dropped: Set<object>;
  /** Files that it uses types of without importing them: reflected files only. */
  readonly adopted: Set<SourceFile>;
  /** True where an import is missing, so that unknown types are only a consequence. */
  incomplete: boolean;
}
