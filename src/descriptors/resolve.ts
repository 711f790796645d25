import { type FieldProto, FieldType, type MessageProto, Path, SCALAR_TYPES } from "./descriptor-proto.js";
import type { Problems } from "./problems.js";
import type { Scope } from "./scope.js";
import type { SourceFile } from "./source-file.js";
import { SourceInfo } from "./source-info.js";
import { type DescriptorSymbol, nested, qualify, type SymbolTable, topLevel } from "./symbol-table.js";

const SCALARS: ReadonlySet<number> = new Set(SCALAR_TYPES.values());

type Wanted = "message" | "type";

/**
 * Makes every type name of a file absolute and fills in whether it is a message or an enum. A name that cannot be
 * resolved is an error; where an import is missing already, that is the one problem to report.
 */
export function resolveTypes(
  file: SourceFile,
  table: SymbolTable,
  scope: () => Scope,
  problems: Problems,
): void {
  const resolver = new Resolver(file, table, scope, problems);
  for (const symbol of topLevel(file)) resolver.resolve(symbol, file.proto.package);
}

class Resolver {
  #info: SourceInfo | undefined;

  constructor(
    readonly file: SourceFile,
    readonly table: SymbolTable,
    readonly scope: () => Scope,
    readonly problems: Problems,
  ) {}

  resolve(symbol: DescriptorSymbol, outer: string): void {
    switch (symbol.kind) {
      case "message":
        this.#fields(symbol.proto, symbol.fullName, symbol.path);
        for (const child of nested(symbol)) this.resolve(child, symbol.fullName);
        break;
      case "extension":
        this.#field(symbol.proto, outer, symbol.path);
        symbol.proto.extendee = this.#name(
          symbol.proto.extendee,
          outer,
          "message",
          symbol.fullName,
          symbol.path,
        );
        break;
      case "service":
        for (let index = 0; index < symbol.proto.method.length; index++) {
          const method = symbol.proto.method[index]!;
          const path = `${symbol.path},${Path.SERVICE_METHOD},${index}`;
          const element = qualify(symbol.fullName, method.name);
          method.inputType = this.#name(method.inputType, symbol.fullName, "message", element, path);
          method.outputType = this.#name(method.outputType, symbol.fullName, "message", element, path);
        }
        break;
      case "enum":
        break;
    }
  }

  #fields(message: MessageProto, scope: string, path: string): void {
    for (let index = 0; index < message.field.length; index++) {
      this.#field(message.field[index]!, scope, `${path},${Path.MESSAGE_FIELD},${index}`);
    }
  }

  #field(field: FieldProto, scope: string, path: string): void {
    const element = qualify(scope, field.name);
    if (field.typeName === undefined || field.typeName === "") {
      if (SCALARS.has(field.type)) return;
      this.problems.error({ message: `field "${element}" has no type`, ...this.#at(element, path) });
      return;
    }
    field.typeName = this.#name(field.typeName, scope, "type", element, path);
    const target = this.table.symbols.get(field.typeName.slice(1));
    if (field.type === 0) field.type = target?.kind === "enum" ? FieldType.ENUM : FieldType.MESSAGE;
    if (target !== undefined && (target.kind === "enum") !== (field.type === FieldType.ENUM)) {
      const message = `type "${target.fullName}" of field "${element}" is ${aKind(target)}, which its descriptor denies`;
      this.problems.error({ message, ...this.#at(element, path) });
    }
  }

  #name(name: string | undefined, scope: string, wanted: Wanted, element: string, path: string): string {
    const written = name ?? "";
    const accepts = (symbol: DescriptorSymbol) => fits(symbol, wanted);
    const known = this.file.parsed === undefined && written.startsWith(".");
    const found = known
      ? this.table.symbols.get(written.slice(1))
      : (this.scope().resolve(written, scope, accepts) ?? this.scope().resolve(written, scope, () => true));
    if (found !== undefined && fits(found, wanted)) return `.${found.fullName}`;
    if (!this.file.incomplete) this.#report(written, found, wanted, element, path);
    return written;
  }

  #report(
    name: string,
    found: DescriptorSymbol | undefined,
    wanted: Wanted,
    element: string,
    path: string,
  ): void {
    const place = this.#at(element, path);
    const what = wanted === "message" ? "a message" : "a message or an enum";
    if (found !== undefined) {
      this.problems.error({ message: `"${name}" is ${aKind(found)}, expected ${what}`, ...place });
      return;
    }
    const hidden = this.table.symbols.get(name.replace(/^\./, ""));
    if (hidden !== undefined) {
      const message = `"${name}" is defined in "${hidden.file.name}", which this file does not import`;
      this.problems.error({ message, ...place });
      return;
    }
    const last = name.slice(name.lastIndexOf(".") + 1);
    const plain = name.replace(/^\./, "");
    const candidates = name.includes(".") ? this.table.symbols.keys() : lastNames(this.table.symbols.keys());
    this.problems.error(
      { message: `unknown type "${name}", expected ${what}`, ...place },
      candidates,
      name.includes(".") ? plain : last,
    );
  }

  #at(element: string, path: string) {
    this.#info ??= new SourceInfo(this.file.proto.sourceCodeInfo);
    const { line, column } = this.file.parsed === undefined ? { line: 0, column: 0 } : this.#info.at(path);
    return { position: { file: this.file.origin, line, column }, path: element };
  }
}

function fits(symbol: DescriptorSymbol, wanted: Wanted): boolean {
  return symbol.kind === "message" || (wanted === "type" && symbol.kind === "enum");
}

function aKind({ kind }: DescriptorSymbol): string {
  return kind === "enum" || kind === "extension" ? `an ${kind}` : `a ${kind}`;
}

function* lastNames(names: Iterable<string>): Generator<string> {
  for (const name of names) yield name.slice(name.lastIndexOf(".") + 1);
}
