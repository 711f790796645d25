import { defaultText } from "./default-text.js";
import {
  EDITIONS,
  type EnumProto,
  type EnumValueProto,
  encodeLocations,
  type FieldProto,
  FieldType,
  type FileProto,
  type HasOptions,
  Label,
  type LocationProto,
  type MessageProto,
  type MethodProto,
  type OneofProto,
  Path,
  type RangeProto,
  SCALAR_TYPES,
  type ServiceProto,
} from "./descriptor-proto.js";
import { jsonName, pascalName } from "./json-name.js";
import {
  accept,
  expect,
  readIdentifier,
  readInlineOptions,
  readInteger,
  readName,
  readOption,
  readString,
  unexpected,
} from "./literal.js";
import { Scanner } from "./scanner.js";
import type { Import, OptionList, OptionStatement, ParsedFile } from "./syntax.js";

const MAX_DEPTH = 64;
const MAX_FIELD = 536_870_911;
const MAX_INT32 = 2_147_483_647;
const MAP_ENTRY = Uint8Array.of(0x38, 1);

/** Where declarations go: a file or a message. `scope` is its full name or package, `path` its source info path. */
interface Container {
  readonly scope: string;
  readonly path: readonly number[];
  readonly depth: number;
  readonly messages: MessageProto[];
  readonly enums: EnumProto[];
  readonly extensions: FieldProto[];
  readonly numbers: { readonly message: number; readonly enum: number; readonly extension: number };
}

interface Start {
  readonly line: number;
  readonly column: number;
  readonly leading: string;
}

/**
 * Parses one `.proto` file (https://protobuf.dev/reference/protobuf/edition-2023-spec/, also proto2, proto3).
 * @throws SyntaxFault
 */
export function parseProto(source: string): ParsedFile {
  return new Parser(source).file();
}

class Parser {
  readonly #scanner: Scanner;
  readonly #locations: LocationProto[] = [];
  readonly #options: OptionList[] = [];
  readonly #imports: Import[] = [];
  #syntax: "proto2" | "proto3" | "editions" = "proto2";
  /** The leading comment of the coming declaration: read once, when the one before it ended. */
  #leading: string;

  constructor(source: string) {
    this.#scanner = new Scanner(source);
    this.#leading = this.#scanner.comments().leading;
  }

  file(): ParsedFile {
    const proto: FileProto = {
      name: "",
      package: "",
      dependency: [],
      publicDependency: [],
      weakDependency: [],
      optionDependency: [],
      messageType: [],
      enumType: [],
      service: [],
      extension: [],
    };
    const statements: OptionStatement[] = [];
    const scanner = this.#scanner;
    this.#readSyntax(proto);
    let container = this.#fileContainer(proto);
    while (scanner.kind !== "end") {
      const start = this.#start();
      if (accept(scanner, ";")) continue;
      switch (scanner.text) {
        case "package":
          scanner.next();
          proto.package = readName(scanner, "the name of the package");
          this.#endStatement();
          container = this.#fileContainer(proto);
          break;
        case "import":
          scanner.next();
          this.#readImport(proto);
          break;
        case "option":
          scanner.next();
          statements.push(readOption(scanner));
          this.#endStatement();
          break;
        case "service":
          scanner.next();
          this.#readService(proto, start);
          break;
        default:
          if (!this.#readCommon(container, start)) throw unexpected(scanner, "a declaration");
      }
    }
    this.#addOptions(proto, "File", proto.package, proto.package, statements);
    if (this.#locations.length > 0) proto.sourceCodeInfo = encodeLocations(this.#locations);
    return { proto, imports: this.#imports, options: this.#options };
  }

  #fileContainer(proto: FileProto): Container {
    return {
      scope: proto.package,
      path: [],
      depth: 0,
      messages: proto.messageType,
      enums: proto.enumType,
      extensions: proto.extension,
      numbers: { message: Path.FILE_MESSAGE, enum: Path.FILE_ENUM, extension: Path.FILE_EXTENSION },
    };
  }

  #readSyntax(proto: FileProto): void {
    const scanner = this.#scanner;
    if (scanner.text !== "syntax" && scanner.text !== "edition") return;
    const word = scanner.text;
    scanner.next();
    expect(scanner, "=");
    const fault = scanner.fault("");
    const value = readString(scanner, `the ${word} as a string`).toString();
    const edition = EDITIONS.get(value);
    if (word === "edition" && edition !== undefined) {
      this.#syntax = "editions";
      proto.syntax = "editions";
      proto.edition = edition;
    } else if (word === "syntax" && value === "proto3") {
      this.#syntax = "proto3";
      proto.syntax = "proto3";
    } else if (word === "edition" || value !== "proto2") {
      const known = word === "edition" ? [...EDITIONS.keys()].join(", ") : "proto2, proto3";
      fault.message = `unknown ${word} ${JSON.stringify(value)}, expected one of ${known}`;
      throw fault;
    }
    this.#endStatement();
  }

  #readImport(proto: FileProto): void {
    const scanner = this.#scanner;
    const { text } = scanner;
    const modifier = scanner.kind === "identifier" && ["public", "weak", "option"].includes(text) ? text : "";
    if (modifier !== "") scanner.next();
    const { line, column } = scanner;
    const name = readString(scanner, "the imported file as a string").toString();
    if (modifier === "public") proto.publicDependency.push(proto.dependency.length);
    if (modifier === "weak") proto.weakDependency.push(proto.dependency.length);
    (modifier === "option" ? proto.optionDependency : proto.dependency).push(name);
    this.#imports.push({ name, line, column });
    this.#endStatement();
  }

  /** Declarations that files and messages share; false where the token starts none. */
  #readCommon(into: Container, start: Start): boolean {
    const scanner = this.#scanner;
    let visibility = 0;
    if (this.#syntax === "editions" && (scanner.is("export") || scanner.is("local"))) {
      visibility = scanner.is("local") ? 1 : 2;
      scanner.next();
      if (scanner.text !== "message" && scanner.text !== "enum")
        throw unexpected(scanner, '"message" or "enum"');
    }
    switch (scanner.text) {
      case "message": {
        scanner.next();
        const path = [...into.path, into.numbers.message, into.messages.length];
        const message = newMessage(readIdentifier(scanner, "the name of the message"));
        if (visibility !== 0) message.visibility = visibility;
        into.messages.push(message);
        this.#readMessageBody(message, into, path, start, []);
        return true;
      }
      case "enum":
        scanner.next();
        this.#readEnum(into, start, visibility);
        return true;
      case "extend":
        scanner.next();
        this.#readExtend(into);
        return true;
      default:
        return false;
    }
  }

  #readMessageBody(
    message: MessageProto,
    into: Container,
    path: readonly number[],
    start: Start,
    inline: readonly OptionStatement[],
  ): void {
    if (into.depth >= MAX_DEPTH) throw this.#scanner.fault(`messages are nested more than ${MAX_DEPTH} deep`);
    const scanner = this.#scanner;
    const location = this.#open(path, start);
    const scope = join(into.scope, message.name);
    const inner: Container = {
      scope,
      path,
      depth: into.depth + 1,
      messages: message.nestedType,
      enums: message.enumType,
      extensions: message.extension,
      numbers: { message: Path.MESSAGE_NESTED, enum: Path.MESSAGE_ENUM, extension: Path.MESSAGE_EXTENSION },
    };
    const statements = [...inline];
    while (!scanner.is("}")) this.#readMember(message, inner, statements);
    this.#close(location);
    this.#addOptions(message, "Message", scope, into.scope, statements);
    addSyntheticOneofs(message);
  }

  #readMember(message: MessageProto, inner: Container, statements: OptionStatement[]): void {
    const scanner = this.#scanner;
    const start = this.#start();
    if (accept(scanner, ";")) return;
    switch (scanner.text) {
      case "option":
        scanner.next();
        statements.push(readOption(scanner));
        this.#endStatement();
        break;
      case "oneof":
        scanner.next();
        this.#readOneof(message, inner, start);
        break;
      case "extensions":
        scanner.next();
        this.#readExtensionRanges(message, inner);
        break;
      case "reserved":
        scanner.next();
        this.#readReserved(message, MAX_FIELD, false);
        break;
      default:
        if (!this.#readCommon(inner, start))
          this.#readField(message.field, inner, Path.MESSAGE_FIELD, start, {});
    }
  }

  #readField(
    fields: FieldProto[],
    inner: Container,
    pathNumber: number,
    start: Start,
    extra: Partial<FieldProto>,
  ): void {
    const scanner = this.#scanner;
    const field: FieldProto = { name: "", number: 0, label: Label.OPTIONAL, type: 0, ...extra };
    const inOneof = extra.oneofIndex !== undefined;
    const word = scanner.text;
    const labelled = !inOneof && (word === "optional" || word === "required" || word === "repeated");
    if (labelled) {
      if (word !== "repeated" && this.#syntax === "editions") {
        throw scanner.fault(`label "${word}" is not allowed in editions; use features.field_presence`);
      }
      if (word === "required" && this.#syntax === "proto3")
        throw scanner.fault('label "required" is not allowed in proto3');
      scanner.next();
      if (word === "required") field.label = Label.REQUIRED;
      if (word === "repeated") field.label = Label.REPEATED;
      if (word === "optional" && this.#syntax === "proto3") field.proto3Optional = true;
    }
    let entry: MessageProto | undefined;
    if (!labelled && scanner.text === "map" && !inOneof) entry = this.#readMapType(field);
    else if (!labelled && !inOneof && this.#syntax === "proto2")
      throw unexpected(scanner, '"required", "optional" or "repeated"');
    else this.#readFieldType(field);

    const name = readIdentifier(scanner, "the name of the field");
    field.name = field.type === FieldType.GROUP ? name.toLowerCase() : name;
    expect(scanner, "=");
    field.number = readInteger(scanner, "the number of the field", false);
    if (field.number === 0 || field.number > MAX_FIELD) {
      throw scanner.fault(`field number ${field.number} is not between 1 and ${MAX_FIELD}`);
    }
    if (entry !== undefined) {
      entry.name = `${pascalName(field.name)}Entry`;
      field.typeName = entry.name;
      inner.messages.push(entry);
    }
    const path = [...inner.path, pathNumber, fields.length];
    fields.push(field);
    const options = this.#fieldOptions(field, readInlineOptions(scanner));
    field.jsonName ??= jsonName(field.name);
    this.#addOptions(field, "Field", join(inner.scope, field.name), inner.scope, options);
    if (field.type === FieldType.GROUP) {
      field.typeName = name;
      const group = newMessage(name);
      const groupPath = [...inner.path, inner.numbers.message, inner.messages.length];
      inner.messages.push(group);
      this.#locations.push({
        path,
        span: [start.line - 1, start.column - 1, scanner.line - 1, scanner.column],
      });
      this.#readMessageBody(group, inner, groupPath, start, []);
    } else {
      this.#endDeclaration(path, start);
    }
  }

  #readFieldType(field: FieldProto): void {
    const scanner = this.#scanner;
    if (scanner.text === "group") {
      scanner.next();
      field.type = FieldType.GROUP;
      return;
    }
    const scalar = SCALAR_TYPES.get(scanner.text);
    const name = readName(scanner, "the type of a field");
    if (scalar !== undefined && !name.includes(".")) field.type = scalar;
    else field.typeName = name;
  }

  #readMapType(field: FieldProto): MessageProto | undefined {
    const scanner = this.#scanner;
    const word = readName(scanner, "the type of a field");
    if (word !== "map" || !accept(scanner, "<")) {
      field.typeName = word;
      return undefined;
    }
    const entry = newMessage("");
    const key: FieldProto = { name: "key", number: 1, label: Label.OPTIONAL, type: 0, jsonName: "key" };
    const value: FieldProto = { name: "value", number: 2, label: Label.OPTIONAL, type: 0, jsonName: "value" };
    const fault = scanner.fault("");
    this.#readFieldType(key);
    if (key.type === 0 || key.type <= 2 || key.type === FieldType.BYTES) {
      fault.message = "the key of a map must be an integer, bool or string type";
      throw fault;
    }
    expect(scanner, ",");
    this.#readFieldType(value);
    expect(scanner, ">");
    entry.field.push(key, value);
    entry.options = MAP_ENTRY;
    field.label = Label.REPEATED;
    field.type = FieldType.MESSAGE;
    return entry;
  }

  /** `default` and `json_name` look like options but are fields of the descriptor. */
  #fieldOptions(field: FieldProto, statements: readonly OptionStatement[]): OptionStatement[] {
    return statements.filter(statement => {
      const [first] = statement.path;
      if (statement.path.length !== 1 || first === undefined || first.extension) return true;
      if (first.name === "default") {
        field.defaultValue = defaultText(field.type, statement);
        return false;
      }
      if (first.name === "json_name" && statement.value.kind === "string") {
        field.jsonName = Buffer.from(statement.value.value).toString();
        return false;
      }
      return true;
    });
  }

  #readOneof(message: MessageProto, inner: Container, start: Start): void {
    const scanner = this.#scanner;
    const oneof: OneofProto = { name: readIdentifier(scanner, "the name of the oneof") };
    const oneofIndex = message.oneofDecl.length;
    message.oneofDecl.push(oneof);
    const location = this.#open([...inner.path, Path.MESSAGE_ONEOF, oneofIndex], start);
    const statements: OptionStatement[] = [];
    while (!scanner.is("}")) {
      const fieldStart = this.#start();
      if (accept(scanner, ";")) continue;
      if (accept(scanner, "option")) {
        statements.push(readOption(scanner));
        this.#endStatement();
      } else {
        this.#readField(message.field, inner, Path.MESSAGE_FIELD, fieldStart, { oneofIndex });
      }
    }
    this.#close(location);
    this.#addOptions(oneof, "Oneof", join(inner.scope, oneof.name), inner.scope, statements);
  }

  #readExtend(into: Container): void {
    const scanner = this.#scanner;
    const extendee = readName(scanner, "the name of the message to extend");
    expect(scanner, "{");
    this.#leading = scanner.comments().leading;
    while (!scanner.is("}")) {
      const start = this.#start();
      if (!accept(scanner, ";"))
        this.#readField(into.extensions, into, into.numbers.extension, start, { extendee });
    }
    this.#endStatement();
  }

  #readExtensionRanges(message: MessageProto, inner: Container): void {
    const scanner = this.#scanner;
    const ranges: RangeProto[] = [];
    do {
      ranges.push(this.#readRange(MAX_FIELD, false));
    } while (accept(scanner, ","));
    const statements = readInlineOptions(scanner);
    for (const range of ranges) {
      message.extensionRange.push(range);
      this.#addOptions(range, "ExtensionRange", inner.scope, inner.scope, statements);
    }
    this.#endStatement();
  }

  #readReserved(into: MessageProto | EnumProto, most: number, inclusive: boolean): void {
    const scanner = this.#scanner;
    do {
      if (scanner.kind === "string")
        into.reservedName.push(readString(scanner, "a reserved name").toString());
      else if (scanner.kind === "identifier")
        into.reservedName.push(readIdentifier(scanner, "a reserved name"));
      else into.reservedRange.push(this.#readRange(most, inclusive));
    } while (accept(scanner, ","));
    this.#endStatement();
  }

  #readRange(most: number, inclusive: boolean): RangeProto {
    const scanner = this.#scanner;
    const start = readInteger(scanner, "a number", inclusive);
    let end = start;
    if (accept(scanner, "to"))
      end = accept(scanner, "max") ? most : readInteger(scanner, 'a number or "max"', inclusive);
    return { start, end: inclusive ? end : end + 1 };
  }

  #readEnum(into: Container, start: Start, visibility: number): void {
    const scanner = this.#scanner;
    const type: EnumProto = {
      name: readIdentifier(scanner, "the name of the enum"),
      value: [],
      reservedRange: [],
      reservedName: [],
    };
    if (visibility !== 0) type.visibility = visibility;
    const path = [...into.path, into.numbers.enum, into.enums.length];
    into.enums.push(type);
    const location = this.#open(path, start);
    const scope = join(into.scope, type.name);
    const statements: OptionStatement[] = [];
    while (!scanner.is("}")) {
      const valueStart = this.#start();
      if (accept(scanner, ";")) continue;
      const name = readIdentifier(scanner, "the name of an enum value");
      if (name === "option" && scanner.text !== "=") {
        statements.push(readOption(scanner));
        this.#endStatement();
      } else if (name === "reserved" && scanner.text !== "=") {
        this.#readReserved(type, MAX_INT32, true);
      } else {
        expect(scanner, "=");
        const value: EnumValueProto = {
          name,
          number: readInteger(scanner, "the number of the enum value", true),
        };
        this.#addOptions(value, "EnumValue", join(into.scope, name), into.scope, readInlineOptions(scanner));
        this.#endDeclaration([...path, Path.ENUM_VALUE, type.value.length], valueStart);
        type.value.push(value);
      }
    }
    this.#close(location);
    this.#addOptions(type, "Enum", scope, into.scope, statements);
  }

  #readService(file: FileProto, start: Start): void {
    const scanner = this.#scanner;
    const service: ServiceProto = { name: readIdentifier(scanner, "the name of the service"), method: [] };
    const path = [Path.FILE_SERVICE, file.service.length];
    file.service.push(service);
    const location = this.#open(path, start);
    const scope = join(file.package, service.name);
    const statements: OptionStatement[] = [];
    while (!scanner.is("}")) {
      const methodStart = this.#start();
      if (accept(scanner, ";")) continue;
      if (accept(scanner, "option")) {
        statements.push(readOption(scanner));
        this.#endStatement();
      } else {
        expect(scanner, "rpc");
        this.#readMethod(service, scope, path, methodStart);
      }
    }
    this.#close(location);
    this.#addOptions(service, "Service", scope, file.package, statements);
  }

  #readMethod(service: ServiceProto, scope: string, servicePath: readonly number[], start: Start): void {
    const scanner = this.#scanner;
    const name = readIdentifier(scanner, "the name of the method");
    const input = this.#readMethodType();
    expect(scanner, "returns");
    const output = this.#readMethodType();
    const method: MethodProto = {
      name,
      inputType: input.name,
      outputType: output.name,
      ...(input.stream ? { clientStreaming: true } : {}),
      ...(output.stream ? { serverStreaming: true } : {}),
    };
    const path = [...servicePath, Path.SERVICE_METHOD, service.method.length];
    service.method.push(method);
    if (scanner.text !== "{") {
      this.#endDeclaration(path, start);
      return;
    }
    const location = this.#open(path, start);
    const statements: OptionStatement[] = [];
    while (!scanner.is("}")) {
      if (accept(scanner, ";")) continue;
      expect(scanner, "option");
      statements.push(readOption(scanner));
      this.#endStatement();
    }
    this.#close(location);
    this.#addOptions(method, "Method", join(scope, name), scope, statements);
  }

  #readMethodType(): { name: string; stream: boolean } {
    const scanner = this.#scanner;
    expect(scanner, "(");
    let name = readName(scanner, "the name of a message");
    const stream = name === "stream" && scanner.text !== ")";
    if (stream) name = readName(scanner, "the name of a message");
    expect(scanner, ")");
    return { name, stream };
  }

  #addOptions(
    target: HasOptions,
    kind: string,
    element: string,
    scope: string,
    statements: readonly OptionStatement[],
  ): void {
    if (statements.length === 0) return;
    this.#options.push({ target, type: `google.protobuf.${kind}Options`, element, scope, statements });
  }

  #start(): Start {
    const { line, column } = this.#scanner;
    const leading = this.#leading;
    this.#leading = "";
    return { line, column, leading };
  }

  /** Takes `;` and keeps the comments around it. @returns the trailing comment */
  #endStatement(): string {
    const scanner = this.#scanner;
    if (scanner.text !== ";" && scanner.text !== "}") throw unexpected(scanner, '";"');
    scanner.next();
    const { trailing, leading } = scanner.comments();
    this.#leading = leading;
    return trailing;
  }

  #endDeclaration(path: readonly number[], start: Start): void {
    const { line, column, text } = this.#scanner;
    if (text !== ";") throw unexpected(this.#scanner, '";"');
    this.#locate(path, start, line, column, this.#endStatement());
  }

  /** Takes `{`. */
  #open(path: readonly number[], start: Start): LocationProto {
    const scanner = this.#scanner;
    const { line, column } = scanner;
    expect(scanner, "{");
    const { trailing, leading } = scanner.comments();
    this.#leading = leading;
    return this.#locate(path, start, line, column, trailing);
  }

  /** Takes `}`. */
  #close(location: LocationProto): void {
    const [line = 0, column = 0] = location.span;
    location.span = span(line + 1, column + 1, this.#scanner.line, this.#scanner.column);
    this.#endStatement();
  }

  #locate(
    path: readonly number[],
    start: Start,
    line: number,
    column: number,
    trailing: string,
  ): LocationProto {
    const location: LocationProto = { path: [...path], span: span(start.line, start.column, line, column) };
    if (start.leading !== "") location.leadingComments = start.leading;
    if (trailing !== "") location.trailingComments = trailing;
    this.#locations.push(location);
    return location;
  }
}

/** From the first character to behind the last one, in source info's form. */
function span(line: number, column: number, endLine: number, endColumn: number): number[] {
  return line === endLine
    ? [line - 1, column - 1, endColumn]
    : [line - 1, column - 1, endLine - 1, endColumn];
}

function newMessage(name: string): MessageProto {
  return {
    name,
    field: [],
    extension: [],
    nestedType: [],
    enumType: [],
    extensionRange: [],
    oneofDecl: [],
    reservedRange: [],
    reservedName: [],
  };
}

/** proto3 `optional` is a oneof of one, after the real ones (google/protobuf/descriptor.proto, proto3_optional). */
function addSyntheticOneofs(message: MessageProto): void {
  const optional = message.field.filter(field => field.proto3Optional === true);
  if (optional.length === 0) return;
  const taken = new Set([...message.field, ...message.oneofDecl].map(({ name }) => name));
  for (const field of optional) {
    let name = field.name.startsWith("_") ? field.name : `_${field.name}`;
    while (taken.has(name)) name = `X${name}`;
    taken.add(name);
    field.oneofIndex = message.oneofDecl.length;
    message.oneofDecl.push({ name });
  }
}

function join(scope: string, name: string): string {
  return scope === "" ? name : `${scope}.${name}`;
}
