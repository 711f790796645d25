import { atOnce, type Steps } from "../../net/pace.js";
import { decodeLocations, encodeFile, encodeLocations, encodeSet } from "../descriptor-codec.js";
import { type FileProto, Path } from "../descriptor-proto.js";
import { LazyEnum, LazyMessage } from "../lazy-proto.js";
import type { EnumType, Field, FileDescriptor, MessageType, Model, ServiceType } from "../model.js";
import type { Imported, SourceFile } from "../source-file.js";
import { LinkedEnum, LinkedFile, linkService } from "./linked-elements.js";
import { LinkedField, LinkedMessage } from "./linked-message.js";
import type {
  DescriptorSymbol,
  EnumSymbol,
  ExtensionSymbol,
  MessageSymbol,
  ServiceSymbol,
  SymbolTable,
} from "./symbols.js";

/** Shared by all models over one table of symbols: nothing of it depends on options. */
export interface Linkage {
  readonly table: SymbolTable;
  /** Dependencies first. */
  readonly sources: readonly SourceFile[];
  /** Names in the model of the files that each file imports. */
  readonly dependencies: ReadonlyMap<SourceFile, readonly string[]>;
  readonly extensions: ReadonlyMap<string, ReadonlyMap<number, ExtensionSymbol>>;
  readonly services: readonly ServiceSymbol[];
  /** Messages and enums with so many members that linking them takes several steps. */
  readonly large: readonly (MessageSymbol | EnumSymbol)[];
}

const manyMembers = 1_000;
const manyBytes = 16 * 1024;
/** Of a file that is serialized. */
const bytesPerUnit = 20;

/** @param files the files in the order of their names' first mention */
export function* createLinkage(
  files: readonly SourceFile[],
  table: SymbolTable,
  imported: Imported,
): Steps<Linkage> {
  const sources = yield* dependenciesFirst(files, imported);
  const dependencies = new Map<SourceFile, string[]>();
  for (const source of sources) {
    const declared = source.proto.dependency.map(path => imported(source, path)?.name ?? path);
    // Servers may merge files, so the uses between files can be circular, which imports cannot be.
    const added = [...source.adopted].filter(file => dependencies.has(file)).map(({ name }) => name);
    dependencies.set(source, [...new Set([...declared, ...added])]);
    yield 1 + (declared.length + added.length) / 5;
  }
  const extensions = new Map<string, Map<number, ExtensionSymbol>>();
  const services: ServiceSymbol[] = [];
  const large: (MessageSymbol | EnumSymbol)[] = [];
  for (const symbol of table.symbols.values()) {
    yield 0.2;
    if (symbol.kind === "service") services.push(symbol);
    else if (symbol.kind === "extension") enterExtension(symbol, extensions);
    else if (
      symbol.kind === "message"
        ? !(symbol.proto instanceof LazyMessage) && symbol.proto.field.length > manyMembers
        : !(symbol.proto instanceof LazyEnum) && symbol.proto.value.length > manyMembers
    )
      large.push(symbol);
  }
  return { table, sources, dependencies, extensions, services, large };
}

function enterExtension(symbol: ExtensionSymbol, into: Map<string, Map<number, ExtensionSymbol>>): void {
  const extendee = symbol.proto.extendee?.slice(1) ?? "";
  const known = into.get(extendee);
  const { number } = symbol.proto;
  if (known === undefined) into.set(extendee, new Map([[number, symbol]]));
  else if (!known.has(number)) known.set(number, symbol);
}

/** A model without services, in which options can be looked up. */
export function* linkModel(linkage: Linkage): Steps<LinkedModel> {
  const files = new Map<SourceFile, LinkedFile>();
  for (const source of linkage.sources) {
    yield 1;
    files.set(source, new LinkedFile(source, linkage.dependencies.get(source) ?? []));
  }
  return new LinkedModel(linkage, files);
}

/** The model over a table of symbols. Types are linked at their first use, and then kept. */
export class LinkedModel implements Model {
  readonly files: ReadonlyMap<string, FileDescriptor>;
  /** Empty until `complete`. */
  readonly services = new Map<string, ServiceType>();
  readonly #linkage: Linkage;
  readonly #linkedFiles: ReadonlyMap<SourceFile, LinkedFile>;
  readonly #messages = new Map<string, LinkedMessage>();
  readonly #enums = new Map<string, LinkedEnum>();
  readonly #extensions = new Map<string, Field>();

  constructor(linkage: Linkage, files: ReadonlyMap<SourceFile, LinkedFile>) {
    this.#linkage = linkage;
    this.#linkedFiles = files;
    this.files = new Map([...files.values()].map(file => [file.name, file]));
  }

  /** Links the members of large messages and enums in steps; their first use would link all of them at once. */
  *linkLarge(): Steps {
    for (const symbol of this.#linkage.large) {
      const linked = symbol.kind === "message" ? this.#message(symbol) : this.#enum(symbol);
      yield* linked.link();
    }
  }

  /**
   * Links services.
   * @param withLocations whether to decode positions, too, where that takes long
   */
  *linkServices(withLocations: boolean): Steps {
    for (const symbol of this.#linkage.services) {
      const file = this.#file(symbol);
      if (withLocations && (symbol.file.proto.sourceCodeInfo?.length ?? 0) > manyBytes)
        yield* file.info.decode();
      this.services.set(symbol.fullName, yield* linkService(this, file, symbol));
    }
  }

  message(fullName: string): MessageType | undefined {
    const linked = this.#messages.get(fullName);
    if (linked !== undefined) return linked;
    const symbol = this.#linkage.table.symbols.get(fullName);
    return symbol?.kind === "message" ? this.#message(symbol) : undefined;
  }

  enum(fullName: string): EnumType | undefined {
    const linked = this.#enums.get(fullName);
    if (linked !== undefined) return linked;
    const symbol = this.#linkage.table.symbols.get(fullName);
    return symbol?.kind === "enum" ? this.#enum(symbol) : undefined;
  }

  extension(extendee: string, number: number): Field | undefined {
    const symbol = this.#linkage.extensions.get(extendee)?.get(number);
    return symbol === undefined ? undefined : this.extensionByName(symbol.fullName);
  }

  extensionByName(fullName: string): Field | undefined {
    const linked = this.#extensions.get(fullName);
    if (linked !== undefined) return linked;
    const symbol = this.#linkage.table.symbols.get(fullName);
    return symbol?.kind === "extension" ? this.#linkExtension(symbol) : undefined;
  }

  *serialize(names: ReadonlySet<string>): Steps<Uint8Array[]> {
    const files: Uint8Array[] = [];
    for (const source of this.#linkage.sources) {
      yield 1;
      if (!names.has(this.#linkedFiles.get(source)!.name)) continue;
      const file = this.#serialize(source);
      files.push(file);
      yield file.length / bytesPerUnit;
    }
    return files;
  }

  descriptorSet(): Uint8Array {
    return encodeSet(this.#linkage.sources.map(source => this.#serialize(source)));
  }

  #message(symbol: MessageSymbol): LinkedMessage {
    let linked = this.#messages.get(symbol.fullName);
    if (linked === undefined) {
      linked = new LinkedMessage(this, this.#file(symbol), symbol, this.#inherited(symbol));
      this.#messages.set(symbol.fullName, linked);
    }
    return linked;
  }

  #enum(symbol: EnumSymbol): LinkedEnum {
    let linked = this.#enums.get(symbol.fullName);
    if (linked === undefined) {
      linked = new LinkedEnum(this, this.#file(symbol), symbol, this.#inherited(symbol));
      this.#enums.set(symbol.fullName, linked);
    }
    return linked;
  }

  #linkExtension(symbol: ExtensionSymbol): Field | undefined {
    const extendee = this.message(symbol.proto.extendee?.slice(1) ?? "");
    if (extendee === undefined) return undefined;
    const { proto, fullName, path } = symbol;
    const inherited = this.#inherited(symbol);
    const linked = new LinkedField(
      this,
      this.#file(symbol),
      proto,
      fullName,
      path,
      inherited,
      extendee,
      undefined,
      true,
    );
    this.#extensions.set(fullName, linked);
    return linked;
  }

  #inherited(symbol: DescriptorSymbol) {
    const { parent } = symbol;
    return parent === undefined ? this.#file(symbol).features : this.#message(parent).features;
  }

  #file(symbol: DescriptorSymbol): LinkedFile {
    return this.#linkedFiles.get(symbol.file)!;
  }

  #serialize(source: SourceFile): Uint8Array {
    const { name, dependencies } = this.#linkedFiles.get(source)!;
    const { proto, raw, dropped, adopted } = source;
    if (dropped.size > 0) return encodeFile(this.#prune(source));
    const unchanged = name === proto.name && dependencies.join("\0") === proto.dependency.join("\0");
    // Names that are not absolute mean something only while all files are visible.
    if (unchanged && adopted.size === 0) return raw ?? encodeFile(proto);
    return encodeFile({ ...proto, name, dependency: [...dependencies] });
  }

  /** A copy without the elements that other files define, which it imports instead. */
  #prune(source: SourceFile): FileProto {
    const { proto, dropped } = source;
    const { package: scope } = proto;
    const keep = <T extends object>(elements: readonly T[]) =>
      elements.filter(element => !dropped.has(element));
    const dependencies = new Set(this.#linkedFiles.get(source)!.dependencies);
    const copy = {
      ...proto,
      name: source.name,
      package: scope,
      publicDependency: [...proto.publicDependency],
    };
    copy.messageType = keep(proto.messageType);
    copy.enumType = keep(proto.enumType);
    copy.service = keep(proto.service);
    copy.extension = keep(proto.extension);
    for (const element of dropped) {
      const name = (element as { name: string }).name;
      const owner = this.#linkage.table.symbols.get(scope === "" ? name : `${scope}.${name}`)?.file.name;
      if (owner === undefined || owner === source.name || dependencies.has(owner)) continue;
      copy.publicDependency.push(dependencies.size);
      dependencies.add(owner);
    }
    copy.dependency = [...dependencies];
    if (proto.sourceCodeInfo !== undefined) copy.sourceCodeInfo = pruneLocations(proto, dropped);
    return copy;
  }
}

/** Source info addresses elements by index, so the elements after a dropped one move up. */
function pruneLocations(proto: FileProto, dropped: ReadonlySet<object>): Uint8Array {
  const indexes = new Map<number, readonly (number | undefined)[]>([
    [Path.FILE_MESSAGE, keptIndexes(proto.messageType, dropped)],
    [Path.FILE_ENUM, keptIndexes(proto.enumType, dropped)],
    [Path.FILE_SERVICE, keptIndexes(proto.service, dropped)],
    [Path.FILE_EXTENSION, keptIndexes(proto.extension, dropped)],
  ]);
  const kept = atOnce(decodeLocations(proto.sourceCodeInfo ?? new Uint8Array())).flatMap(location => {
    const [list = 0, index] = location.path;
    const moved = indexes.get(list);
    if (moved === undefined || index === undefined) return [location];
    const at = moved[index];
    return at === undefined ? [] : [{ ...location, path: [list, at, ...location.path.slice(2)] }];
  });
  return atOnce(encodeLocations(kept));
}

/** By the index that an element has, the one that it will have; undefined for those that are dropped. */
function keptIndexes(elements: readonly object[], dropped: ReadonlySet<object>): (number | undefined)[] {
  let kept = 0;
  return elements.map(element => (dropped.has(element) ? undefined : kept++));
}

function* dependenciesFirst(sources: readonly SourceFile[], imported: Imported): Steps<SourceFile[]> {
  const ordered = new Set<SourceFile>();
  const entered = new Set<SourceFile>();
  for (const root of sources) {
    const stack = [root];
    for (let file = stack.at(-1); file !== undefined; file = stack.at(-1)) {
      if (entered.has(file)) {
        ordered.add(file);
        stack.pop();
        continue;
      }
      entered.add(file);
      const declared = [...file.proto.dependency, ...file.proto.optionDependency];
      const used = [...declared.map(path => imported(file!, path)), ...file.adopted];
      for (const dependency of used.reverse())
        if (dependency !== undefined && !entered.has(dependency)) stack.push(dependency);
      yield 1 + used.length / 5;
    }
  }
  return [...ordered];
}
