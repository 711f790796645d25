import type { Steps } from "../../net/pace.js";
import {
  type EnumProto,
  type FieldProto,
  type MessageProto,
  Path,
  type ServiceProto,
} from "../descriptor-proto.js";
import { parentOf, qualify } from "../names.js";
import { givesWay, type Imported, type SourceFile } from "../source-file.js";

interface SymbolOf<Kind extends string, Proto> {
  readonly kind: Kind;
  readonly fullName: string;
  readonly file: SourceFile;
  readonly proto: Proto;
  /** Source info path, joined by commas. */
  readonly path: string;
  /** The message that it is declared in. */
  readonly parent: MessageSymbol | undefined;
}

export type MessageSymbol = SymbolOf<"message", MessageProto>;
export type EnumSymbol = SymbolOf<"enum", EnumProto>;
export type ServiceSymbol = SymbolOf<"service", ServiceProto>;
export type ExtensionSymbol = SymbolOf<"extension", FieldProto>;
export type DescriptorSymbol = MessageSymbol | EnumSymbol | ServiceSymbol | ExtensionSymbol;

/** One full name that was defined twice; whether the two differ shows once both are linked. */
export interface Duplicate {
  readonly first: DescriptorSymbol;
  readonly second: DescriptorSymbol;
}

/** All named elements by full name. The first definition of a name stays; later ones are kept as duplicates. */
export class SymbolTable {
  readonly symbols = new Map<string, DescriptorSymbol>();
  readonly duplicates: Duplicate[] = [];
  /** All files that define a name, where there are several. */
  readonly #definers = new Map<string, SourceFile[]>();

  /** Enters all elements of a file. Elements that are known already are dropped from it. */
  *add(file: SourceFile): Steps {
    for (const symbol of topLevel(file)) yield* this.#add(symbol);
  }

  /** Whether `file`'s elements include one of that name, be it a dropped one. */
  defines(visible: ReadonlySet<SourceFile>, symbol: DescriptorSymbol): boolean {
    if (visible.has(symbol.file)) return true;
    return this.#definers.get(symbol.fullName)?.some(file => visible.has(file)) ?? false;
  }

  *#add(symbol: DescriptorSymbol): Steps {
    yield 1;
    const { fullName, file } = symbol;
    const known = this.symbols.get(fullName);
    if (known === undefined) {
      this.symbols.set(fullName, symbol);
      if (symbol.kind === "message") for (const child of nested(symbol)) yield* this.#add(child);
      return;
    }
    if (symbol.parent === undefined) file.dropped.add(symbol.proto);
    if (!givesWay(file) || known.file === file) this.duplicates.push({ first: known, second: symbol });
    yield* this.#define(symbol);
  }

  *#define(symbol: DescriptorSymbol): Steps {
    yield 1;
    const definers = this.#definers.get(symbol.fullName);
    if (definers === undefined) this.#definers.set(symbol.fullName, [symbol.file]);
    else definers.push(symbol.file);
    if (symbol.kind === "message") for (const child of nested(symbol)) yield* this.#define(child);
  }
}

/** The symbols that a file declares outside of messages. */
export function* topLevel(file: SourceFile): Generator<DescriptorSymbol> {
  const { proto } = file;
  const scope = proto.package;
  yield* children(file, undefined, scope, "message", proto.messageType, `${Path.FILE_MESSAGE}`);
  yield* children(file, undefined, scope, "enum", proto.enumType, `${Path.FILE_ENUM}`);
  yield* children(file, undefined, scope, "service", proto.service, `${Path.FILE_SERVICE}`);
  yield* children(file, undefined, scope, "extension", proto.extension, `${Path.FILE_EXTENSION}`);
}

/** The symbols that a message declares. */
export function* nested(message: MessageSymbol): Generator<DescriptorSymbol> {
  const { file, fullName, proto, path } = message;
  yield* children(file, message, fullName, "message", proto.nestedType, `${path},${Path.MESSAGE_NESTED}`);
  yield* children(file, message, fullName, "enum", proto.enumType, `${path},${Path.MESSAGE_ENUM}`);
  yield* children(file, message, fullName, "extension", proto.extension, `${path},${Path.MESSAGE_EXTENSION}`);
}

function* children<Kind extends DescriptorSymbol["kind"], Proto extends { name: string }>(
  file: SourceFile,
  parent: MessageSymbol | undefined,
  scope: string,
  kind: Kind,
  protos: readonly Proto[],
  path: string,
): Generator<SymbolOf<Kind, Proto>> {
  for (let index = 0; index < protos.length; index++) {
    const proto = protos[index]!;
    const fullName = qualify(scope, proto.name);
    yield { kind, fullName, file, proto, path: `${path},${index}`, parent };
  }
}

/** Looks names up as seen from one file: in its declarations and its imports, public imports of imports included. */
export class Scope {
  readonly #table: SymbolTable;
  /** The file itself and all that it imports. */
  readonly files: ReadonlySet<SourceFile>;
  readonly #packages = new Set<string>();

  constructor(table: SymbolTable, file: SourceFile, imported: Imported) {
    this.#table = table;
    this.files = visibleFiles(file, imported);
    for (const { proto } of this.files) {
      for (let name = proto.package; name !== "" && !this.#packages.has(name); name = parentOf(name)) {
        this.#packages.add(name);
      }
    }
  }

  /**
   * Resolves `name` inside of `scope` (a full name): the innermost match of its first part decides, as in C++
   * (https://protobuf.dev/programming-guides/proto3/#name-resolution).
   * @param accepts the kinds that a name without dots may have; others are skipped
   */
  resolve(
    name: string,
    scope: string,
    accepts: (symbol: DescriptorSymbol) => boolean,
  ): DescriptorSymbol | undefined {
    if (name.startsWith(".")) return this.#visible(name.slice(1));
    const dot = name.indexOf(".");
    const first = dot < 0 ? name : name.slice(0, dot);
    for (let outer = scope; ; outer = parentOf(outer)) {
      const candidate = qualify(outer, first);
      if (dot < 0) {
        const symbol = this.#visible(candidate);
        if (symbol !== undefined && accepts(symbol)) return symbol;
      } else if (this.#contains(candidate)) {
        return this.#visible(qualify(outer, name));
      }
      if (outer === "") return undefined;
    }
  }

  /** Whether the symbol is declared or imported here. */
  sees(symbol: DescriptorSymbol): boolean {
    return this.#table.defines(this.files, symbol);
  }

  #visible(fullName: string): DescriptorSymbol | undefined {
    const symbol = this.#table.symbols.get(fullName);
    return symbol !== undefined && this.sees(symbol) ? symbol : undefined;
  }

  /** Whether other names can be inside of that one. */
  #contains(fullName: string): boolean {
    if (this.#packages.has(fullName)) return true;
    const symbol = this.#visible(fullName);
    return symbol !== undefined && symbol.kind !== "extension";
  }
}

function visibleFiles(file: SourceFile, imported: Imported): Set<SourceFile> {
  const visible = new Set([file]);
  for (const name of [...file.proto.dependency, ...file.proto.optionDependency]) {
    const found = imported(file, name);
    if (found !== undefined) visible.add(found);
  }
  // Grows while it is walked: public imports have public imports too.
  for (const importer of visible) {
    if (importer === file) continue;
    for (const index of importer.proto.publicDependency) {
      const found = imported(importer, importer.proto.dependency[index] ?? "");
      if (found !== undefined) visible.add(found);
    }
  }
  return visible;
}
