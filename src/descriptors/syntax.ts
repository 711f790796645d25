import type { FileProto, HasOptions } from "./descriptor-proto.js";

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

/** The options of one element, to be encoded into `target.options` once all extensions are known. */
export interface OptionList {
  readonly target: HasOptions;
  /** The message that holds them, `google.protobuf.FieldOptions`. */
  readonly type: string;
  /** Full name of the element, for messages to people. */
  readonly element: string;
  /** Full name of what contains the element: where extension names are looked up. */
  readonly scope: string;
  readonly statements: readonly OptionStatement[];
}

/** `(google.api.http).get = "/v1"`: a path of names and a value. */
export interface OptionStatement {
  readonly path: readonly OptionName[];
  readonly value: Literal;
  readonly line: number;
  readonly column: number;
}

export interface OptionName {
  /** As written, without parentheses. */
  readonly name: string;
  readonly extension: boolean;
}

/** A value as written. Strings are bytes, since their escapes can spell any. */
export type Literal =
  | { readonly kind: "identifier"; readonly text: string; readonly negative: boolean }
  | { readonly kind: "integer"; readonly value: bigint }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: Uint8Array }
  | { readonly kind: "list"; readonly items: readonly Literal[] }
  | { readonly kind: "aggregate"; readonly fields: readonly AggregateField[] };

/** `name: value`, `[extension.name]: value` or, in an Any, `[type.googleapis.com/full.Name] { ... }`. */
export interface AggregateField {
  readonly name: string;
  readonly form: "field" | "extension" | "any";
  readonly value: Literal;
}
