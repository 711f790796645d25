import type { FileProto } from "./descriptor-proto.js";
import type { SourceInfo } from "./link/source-info.js";
import type { OptionList } from "./parse/option.js";

/** One `.proto` file as parsed: type names and options still as written. */
export interface ParsedFile {
  /** Without a name; the loader sets it. */
  readonly proto: FileProto;
  readonly imports: readonly Import[];
  readonly options: readonly OptionList[];
}

export interface Import {
  readonly name: string;
  readonly line: number;
  readonly column: number;
}

/** The kind of input that a file is from; `bundle` for the files of this package. */
export type SourceKind = "bundle" | "protos" | "set" | "files";

/** One descriptor file as loaded, before and while it is linked. */
export interface SourceFile {
  /**
   * Name in the model: the import path, which `proto.name` keeps, or that with a prefix where another input has a file
   * of the same path.
   */
  name: string;
  readonly source: SourceKind;
  /** Where it was loaded from: the path of the `.proto` file, of the set, or the origin that the caller passed. */
  readonly origin: string;
  readonly proto: FileProto;
  /** Comments and lines, wherever they are kept. */
  readonly info: SourceInfo;
  /** Set for files that were parsed from text, until they are linked. */
  parsed: ParsedFile | undefined;
  /** Numbers of the options of its messages, oneofs and fields, among others; undefined where it can be any. */
  readonly options: Set<number> | undefined;
  /** As received; undefined for parsed files. */
  readonly raw: Uint8Array | undefined;
  /** Top-level elements that another file already defines: not part of the model. */
  readonly dropped: Set<object>;
  /** Files that it uses types of without importing them: reflected files only. */
  readonly adopted: Set<SourceFile>;
  /** True where an import is missing, so that unknown types are only a consequence. */
  incomplete: boolean;
}

const standardPackages: ReadonlySet<string> = new Set([
  "buf.validate",
  "gogoproto",
  "google.api",
  "google.longrunning",
  "google.protobuf",
  "google.protobuf.compiler",
  "google.rpc",
  "google.rpc.context",
  "google.type",
  "grpc.gateway.protoc_gen_openapiv2.options",
  "grpc.gateway.protoc_gen_swagger.options",
  "grpc.health.v1",
  "grpc.reflection.v1",
  "grpc.reflection.v1alpha",
  "pb",
  "trpc.api",
  "validate",
]);

/**
 * Whether a package is one of those that most projects have a copy of. Copies differ in age, so two that differ are no
 * conflict.
 */
export function isWellKnown(packageName: string): boolean {
  return standardPackages.has(packageName);
}

/**
 * Whether any other definition of its elements replaces a file: a bundled file, and a reflected copy of one, since
 * some servers rebuild their descriptors and get those wrong.
 */
export function givesWay({ source, proto }: SourceFile): boolean {
  return source === "bundle" || (source === "files" && isWellKnown(proto.package));
}

/** The file that an import of `importer` names; undefined where there is none. */
export type Imported = (importer: SourceFile, path: string) => SourceFile | undefined;
