import { asBuffer } from "../../net/buffer.js";
import type { Steps } from "../../net/pace.js";
import { WireReader } from "../../wire/reader.js";
import { LENGTH } from "../../wire/wire-type.js";
import { WireWriter } from "../../wire/writer.js";
import type { HasOptions } from "../descriptor-proto.js";
import type { DiagnosticList } from "../diagnostic-list.js";
import { LazyEnum, LazyMessage } from "../lazy-proto.js";
import type { Field, MessageType, Model } from "../model.js";
import { qualify } from "../names.js";
import type { OptionList, OptionStatement } from "../parse/option.js";
import { givesWay, type SourceFile } from "../source-file.js";
import { featuresField } from "./features.js";
import { OptionEncoder, ValueFault, writeMessage } from "./option-encoder.js";
import { type DescriptorSymbol, nested, type Scope, topLevel } from "./symbols.js";

/**
 * Serializes the options of a parsed file into its descriptors.
 * Extensions may depend on the options of other files (features decide how they are encoded), so the standard options
 * of all files come before the custom ones of any.
 * @param pass which of the two to encode
 */
export function* encodeOptions(
  file: SourceFile,
  pass: "standard" | "custom",
  model: Model,
  scope: () => Scope,
  problems: DiagnosticList,
): Steps {
  for (const list of file.parsed?.options ?? []) {
    yield 1;
    const statements: OptionStatement[] = [];
    for (const statement of list.statements) {
      if (isCustom(statement) === (pass === "custom")) statements.push(statement);
      yield 0.1;
    }
    if (statements.length > 0) yield* new ListEncoder(file, list, model, scope, problems).encode(statements);
  }
}

const unitsPerStatement = 10;
const unitsPerField = 0.2;

/** Fields of options in the order of their numbers; of one number, in the order in which they came. */
function* sortFields(message: Uint8Array): Steps<Uint8Array> {
  const fields: { readonly number: number; readonly bytes: Uint8Array }[] = [];
  const reader = new WireReader(message);
  for (let start = 0; reader.next(); start = reader.position) {
    const { number } = reader;
    reader.skip();
    fields.push({ number, bytes: message.subarray(start, reader.position) });
    yield unitsPerField;
  }
  fields.sort((a, b) => a.number - b.number);
  const sorted = new WireWriter();
  for (const { bytes } of fields) {
    sorted.raw(bytes);
    yield unitsPerField;
  }
  return asBuffer(sorted.finish());
}

/** Standard options that are themselves subject to `retention`, which the first pass does not know yet. */
const retainedOptions: ReadonlySet<string> = new Set([
  "verification",
  "enforce_naming_style",
  "default_symbol_visibility",
]);

function isCustom({ path, value }: OptionStatement): boolean {
  return (
    value.kind === "aggregate" || path.some(({ name, extension }) => extension || retainedOptions.has(name))
  );
}

class ListEncoder {
  readonly #encoder: OptionEncoder;

  constructor(
    readonly file: SourceFile,
    readonly list: OptionList,
    readonly model: Model,
    readonly scope: () => Scope,
    readonly problems: DiagnosticList,
  ) {
    this.#encoder = new OptionEncoder(model, name => this.#extension(name));
  }

  *encode(statements: readonly OptionStatement[]): Steps {
    const writer = new WireWriter();
    const { target } = this.list;
    if (target.options !== undefined) writer.raw(target.options);
    for (const statement of statements) {
      yield* this.#statement(statement, writer);
      yield unitsPerStatement;
    }
    target.options = yield* sortFields(writer.finish());
  }

  *#statement(statement: OptionStatement, into: WireWriter): Steps {
    const fields = this.#fields(statement);
    if (fields === undefined) return;
    const last = fields.at(-1)!;
    this.file.options?.add(fields[0]!.number);
    try {
      let writer = new WireWriter();
      yield* this.#encoder.present(last, statement.value, writer);
      for (const field of fields.slice(0, -1).reverse()) {
        const outer = new WireWriter();
        writeMessage(field, writer.finish(), outer);
        writer = outer;
      }
      into.raw(writer.finish());
    } catch (error) {
      if (!(error instanceof ValueFault)) throw error;
      this.problems.error({
        message: `option ${spell(statement)}: ${error.message}`,
        ...this.#at(statement),
      });
    }
  }

  /** The fields that the statement's path names; undefined, with a problem reported, where one is unknown. */
  #fields(statement: OptionStatement): Field[] | undefined {
    const fields: Field[] = [];
    let type: MessageType | undefined = this.model.message(this.list.type);
    for (const { name, extension } of statement.path) {
      const previous = fields.at(-1);
      if (type === undefined || previous?.repeated) {
        const message = `option ${spell(statement)}: "${previous?.name ?? ""}" is not a single message and has no "${name}"`;
        this.problems.error({ message, ...this.#at(statement) });
        return undefined;
      }
      const field: Field | undefined = extension ? this.#extension(name) : type.fieldsByName.get(name);
      if (field === undefined || field.parent.fullName !== type.fullName) {
        this.#unknown(statement, type, name, extension, field);
        return undefined;
      }
      fields.push(field);
      type = field.message;
    }
    return fields;
  }

  #unknown(
    statement: OptionStatement,
    type: MessageType,
    name: string,
    extension: boolean,
    found: Field | undefined,
  ) {
    const reason =
      found === undefined
        ? extension
          ? `extension "${name}" is neither declared nor imported here, so it is ignored`
          : `${type.fullName} has no field "${name}", so it is ignored`
        : `"${name}" extends ${found.parent.fullName}, not ${type.fullName}, so it is ignored`;
    const candidates = extension ? [] : type.fields.map(field => field.name);
    this.problems.warning(
      { message: `option ${spell(statement)}: ${reason}`, ...this.#at(statement) },
      candidates,
      name,
    );
  }

  #extension(name: string): Field | undefined {
    const symbol = this.scope().resolve(name, this.list.scope, each => each.kind === "extension");
    return symbol === undefined ? undefined : this.model.extensionByName(symbol.fullName);
  }

  #at({ line, column }: OptionStatement) {
    return { position: { file: this.file.origin, line, column }, path: this.list.element };
  }
}

/** The option's name as written. */
function spell({ path }: OptionStatement): string {
  return path.map(({ name, extension }) => (extension ? `(${name})` : name)).join(".");
}

/** Reports options of a received file that are no messages, so that reading them later cannot fail. */
export function* checkOptions(file: SourceFile, problems: DiagnosticList): Steps {
  if (file.raw === undefined) return;
  for (const { of, member, holder, features } of optionsOf(file)) {
    yield 1;
    const { options } = holder;
    if (options === undefined || options.length === 0) continue;
    if (
      options.length <= smallBytes ? isSmallMessage(options, features) : yield* isMessage(options, features)
    )
      continue;
    const element = member === undefined ? of : qualify(of, member);
    const position = { file: file.origin, line: 0, column: 0 };
    problems.error({ message: `the options of "${element}" are malformed`, position, path: element });
  }
}

interface Entry {
  /** Full name of the element, or of the one that it is a member of. */
  readonly of: string;
  readonly member?: string;
  readonly holder: HasOptions;
  /** The number of `features` in its options. */
  readonly features: number;
}

function* optionsOf(file: SourceFile): Generator<Entry> {
  yield { of: file.proto.name, holder: file.proto, features: featuresField.file };
  for (const symbol of topLevel(file)) {
    if (!givesWay(file) || !file.dropped.has(symbol.proto)) yield* symbolOptions(symbol);
  }
}

const none: HasOptions = {};

function* symbolOptions(symbol: DescriptorSymbol): Generator<Entry> {
  const { fullName: of, kind, proto } = symbol;
  const entry = (each: HasOptions & { name: string }, features: number): Entry => {
    return { of, member: each.name, holder: each, features };
  };
  switch (kind) {
    case "message":
      // Those of lazy ones were looked through.
      if (proto instanceof LazyMessage) yield { of, holder: none, features: 0 };
      else {
        yield { of, holder: proto, features: featuresField.message };
        for (const field of proto.field) yield entry(field, featuresField.field);
        for (const oneof of proto.oneofDecl) yield entry(oneof, featuresField.oneof);
      }
      for (const child of nested(symbol)) yield* symbolOptions(child);
      break;
    case "enum":
      if (proto instanceof LazyEnum) {
        yield { of, holder: none, features: 0 };
        break;
      }
      yield { of, holder: proto, features: featuresField.enum };
      for (const value of proto.value) yield entry(value, 0);
      break;
    case "service":
      yield { of, holder: proto, features: 0 };
      for (const method of proto.method) yield entry(method, 0);
      break;
    case "extension":
      yield { of, holder: proto, features: featuresField.field };
      break;
  }
}

/** Looked through in one step. */
const smallBytes = 4096;

function isSmallMessage(bytes: Uint8Array, submessage: number): boolean {
  try {
    const reader = new WireReader(bytes);
    while (reader.next()) {
      if (reader.number !== submessage || reader.wireType !== LENGTH) reader.skip();
      else if (!isSmallMessage(reader.delimited(), 0)) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function* isMessage(bytes: Uint8Array, submessage: number): Steps<boolean> {
  try {
    const reader = new WireReader(bytes);
    while (reader.next()) {
      yield unitsPerField;
      if (reader.number !== submessage || reader.wireType !== LENGTH) reader.skip();
      else if (!(yield* isMessage(reader.delimited(), 0))) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
