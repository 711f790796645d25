import type { Steps } from "../../net/pace.js";
import {
  type FieldProto,
  FieldType,
  type MessageProto,
  maxFieldNumber,
  Path,
  scalarTypes,
} from "../descriptor-proto.js";
import { DiagnosticList } from "../diagnostic-list.js";
import { LazyMessage } from "../lazy-proto.js";
import { parentOf, qualify } from "../names.js";
import type { SourceFile } from "../source-file.js";
import { givesWay } from "../source-file.js";
import { noLocation } from "./source-info.js";
import {
  type DescriptorSymbol,
  type ExtensionSymbol,
  nested,
  type Scope,
  type SymbolTable,
  topLevel,
} from "./symbols.js";

const scalarNumbers: ReadonlySet<number> = new Set(scalarTypes.values());

/** How many types a warning names. */
const maxNames = 3;

type ExpectedKind = "message" | "type";

/**
 * Makes every type name of a file absolute and fills in whether it is a message or an enum. A name that cannot be
 * resolved is an error; where an import is missing already, that is the one problem to report. In a reflected file a
 * type of another file that is not imported is only a warning, one for all.
 */
export function* resolveTypes(
  file: SourceFile,
  table: SymbolTable,
  scope: () => Scope,
  problems: DiagnosticList,
): Steps {
  const resolver = new Resolver(file, table, scope, problems);
  // A file that is defined already is only compared with the first, and one that cannot be resolved is different.
  const quiet = new Resolver(file, table, scope, new DiagnosticList());
  for (const symbol of topLevel(file)) {
    if (!file.dropped.has(symbol.proto)) yield* resolver.resolve(symbol, file.proto.package);
    else if (!givesWay(file)) yield* quiet.resolve(symbol, file.proto.package);
  }
  yield* resolver.finish();
}

class Resolver {
  /** Errors to report once the positions of the file's elements are decoded. */
  readonly #reports: (() => void)[] = [];
  /** Names of the types that were found without an import. */
  readonly #adopted = new Set<string>();

  constructor(
    readonly file: SourceFile,
    readonly table: SymbolTable,
    readonly scope: () => Scope,
    readonly problems: DiagnosticList,
  ) {}

  /** Reports names that cannot be resolved, and names that were found without an import. */
  *finish(): Steps {
    if (this.#reports.length > 0 && this.file.parsed !== undefined) yield* this.file.info.decode();
    for (const report of this.#reports) {
      yield 1;
      report();
    }
    const names = [...this.#adopted];
    if (names.length === 0) return;
    const more = names.length > maxNames ? ` and ${names.length - maxNames} more` : "";
    const message = `"${this.file.proto.name}" does not import the files that define ${names.slice(0, maxNames).join(", ")}${more}; the definitions known by these names are used`;
    this.problems.warning({ message, position: { file: this.file.origin, line: 0, column: 0 } });
  }

  *resolve(symbol: DescriptorSymbol, outer: string): Steps {
    yield 1;
    switch (symbol.kind) {
      case "message":
        if (!this.#knowsAll(symbol.proto)) yield* this.#fields(symbol.proto, symbol.fullName, symbol.path);
        for (const child of nested(symbol)) yield* this.resolve(child, symbol.fullName);
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
        this.#extensionNumber(symbol);
        break;
      case "service":
        for (let index = 0; index < symbol.proto.method.length; index++) {
          yield 2;
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

  #extensionNumber({ proto: { number, extendee = "" }, fullName, path }: ExtensionSymbol): void {
    const target = this.table.symbols.get(extendee.slice(1));
    if (number <= maxFieldNumber || target?.kind !== "message") return;
    if (target.proto.extensionRange.some(({ start, end }) => number >= start && number < end)) return;
    const message = `"${target.fullName}" does not declare ${number} as an extension number`;
    this.#reports.push(() => this.problems.error({ message, ...this.#at(fullName, path) }));
  }

  /** Whether a lazy message needs no report, as all of its types are known. */
  #knowsAll(message: MessageProto): boolean {
    if (!(message instanceof LazyMessage) || message.references === undefined) return false;
    for (const reference of message.references) {
      const isEnum = reference.startsWith("=");
      const symbol = this.table.symbols.get(isEnum ? reference.slice(1) : reference);
      if (symbol === undefined || symbol.kind !== (isEnum ? "enum" : "message")) return false;
      if (this.file.source === "files" && !this.scope().sees(symbol)) this.#adopt(symbol);
    }
    message.references = undefined;
    return true;
  }

  *#fields(message: MessageProto, scope: string, path: string): Steps {
    for (let index = 0; index < message.field.length; index++) {
      yield 1;
      this.#field(message.field[index]!, scope, `${path},${Path.MESSAGE_FIELD},${index}`);
    }
  }

  #field(field: FieldProto, scope: string, path: string): void {
    const element = qualify(scope, field.name);
    if (field.typeName === undefined || field.typeName === "") {
      if (scalarNumbers.has(field.type)) return;
      const message = `field "${element}" has no type`;
      this.#reports.push(() => this.problems.error({ message, ...this.#at(element, path) }));
      return;
    }
    field.typeName = this.#name(field.typeName, scope, "type", element, path);
    const target = this.table.symbols.get(field.typeName.slice(1));
    if (field.type === 0) field.type = target?.kind === "enum" ? FieldType.ENUM : FieldType.MESSAGE;
    if (target !== undefined && (target.kind === "enum") !== (field.type === FieldType.ENUM)) {
      const message = `type "${target.fullName}" of field "${element}" is ${aKind(target)}, but the descriptor of the field declares another kind`;
      this.#reports.push(() => this.problems.error({ message, ...this.#at(element, path) }));
    }
  }

  #name(
    name: string | undefined,
    scope: string,
    expected: ExpectedKind,
    element: string,
    path: string,
  ): string {
    const written = name ?? "";
    const reflected = this.file.source === "files";
    const absolute = this.file.parsed === undefined && written.startsWith(".");
    if (absolute && !reflected) {
      const named = this.table.symbols.get(written.slice(1));
      if (named !== undefined && fits(named, expected)) return written;
    }
    const accepts = (symbol: DescriptorSymbol) => fits(symbol, expected);
    const found = absolute
      ? this.table.symbols.get(written.slice(1))
      : (this.scope().resolve(written, scope, accepts) ?? this.scope().resolve(written, scope, () => true));
    const fitting =
      found !== undefined && fits(found, expected)
        ? found
        : reflected
          ? this.#anywhere(written, scope, expected)
          : undefined;
    if (fitting !== undefined) {
      if (reflected && !this.scope().sees(fitting)) this.#adopt(fitting);
      return `.${fitting.fullName}`;
    }
    if (!this.file.incomplete)
      this.#reports.push(() => this.#report(written, found, expected, element, path));
    return written;
  }

  /** Looks a relative name up in all files: those of the same input and the bundled ones come first. */
  #anywhere(name: string, scope: string, expected: ExpectedKind): DescriptorSymbol | undefined {
    if (name === "" || name.startsWith(".")) return undefined;
    let foreign: DescriptorSymbol | undefined;
    for (let outer = scope; ; outer = parentOf(outer)) {
      const symbol = this.table.symbols.get(qualify(outer, name));
      if (symbol !== undefined && fits(symbol, expected)) {
        if (symbol.file.origin === this.file.origin || symbol.file.source === "bundle") return symbol;
        foreign ??= symbol;
      }
      if (outer === "") return foreign;
    }
  }

  #adopt({ fullName, file }: DescriptorSymbol): void {
    this.#adopted.add(fullName);
    this.file.adopted.add(file);
  }

  #report(
    name: string,
    found: DescriptorSymbol | undefined,
    expected: ExpectedKind,
    element: string,
    path: string,
  ): void {
    const what = expected === "message" ? "a message" : "a message or an enum";
    if (this.file.source === "bundle") {
      this.#reportCopy(name, what, element);
      return;
    }
    const location = this.#at(element, path);
    if (found !== undefined) {
      this.problems.error({ message: `"${name}" is ${aKind(found)}, expected ${what}`, ...location });
      return;
    }
    const hidden = this.table.symbols.get(name.replace(/^\./, ""));
    if (hidden !== undefined) {
      const message = `"${name}" is defined in "${hidden.file.proto.name}", which this file does not import`;
      this.problems.error({ message, ...location });
      return;
    }
    const last = name.slice(name.lastIndexOf(".") + 1);
    const plain = name.replace(/^\./, "");
    const candidates = name.includes(".") ? this.table.symbols.keys() : lastNames(this.table.symbols.keys());
    this.problems.error(
      { message: `unknown type "${name}", expected ${what}`, ...location },
      candidates,
      name.includes(".") ? plain : last,
    );
  }

  /** A bundled file links unless a user's copy of a file it imports lacks an element: the error names that copy. */
  #reportCopy(name: string, what: string, element: string): void {
    const { proto, dropped } = this.file;
    const first = name.replace(/^\./, "").split(".", 1)[0]!;
    const owner = this.table.symbols.get(qualify(proto.package, first))?.file;
    const owners = [...dropped].map(
      each => this.table.symbols.get(qualify(proto.package, (each as { name: string }).name))?.file,
    );
    const copy =
      [owner, ...owners, ...this.scope().files].find(each => each && each.source !== "bundle") ?? this.file;
    const message = `"${copy.proto.name}" lacks ${what} "${name}", which "${proto.name}" needs: the copy is too old or incomplete`;
    this.problems.error({ message, position: { file: copy.origin, line: 0, column: 0 }, path: element });
  }

  #at(element: string, path: string) {
    // Positions in descriptor sets are those of files elsewhere.
    const { line, column } = this.file.parsed === undefined ? noLocation : this.file.info.at(path);
    return { position: { file: this.file.origin, line, column }, path: element };
  }
}

function fits(symbol: DescriptorSymbol, expected: ExpectedKind): boolean {
  return symbol.kind === "message" || (expected === "type" && symbol.kind === "enum");
}

function aKind({ kind }: DescriptorSymbol): string {
  return kind === "enum" || kind === "extension" ? `an ${kind}` : `a ${kind}`;
}

function* lastNames(names: Iterable<string>): Generator<string> {
  for (const name of names) yield name.slice(name.lastIndexOf(".") + 1);
}
