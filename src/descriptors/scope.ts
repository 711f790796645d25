import type { Imported } from "./file-table.js";
import type { SourceFile } from "./source-file.js";
import { type DescriptorSymbol, qualify, type SymbolTable } from "./symbol-table.js";

/** Looks names up as seen from one file: in what it declares and imports, public imports of imports included. */
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
   * What `name` means inside of `scope` (a full name): the innermost match of its first part decides, as in C++
   * (https://protobuf.dev/programming-guides/proto3/#name-resolution).
   * @param accepts which kinds a name without dots may stand for; others are looked through
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

export function parentOf(fullName: string): string {
  const dot = fullName.lastIndexOf(".");
  return dot < 0 ? "" : fullName.slice(0, dot);
}
