import {
  decodeLocations,
  encodeFile,
  encodeLocations,
  encodeSet,
  type FileProto,
  Path,
} from "./descriptor-proto.js";
import type { Imported } from "./file-table.js";
import { LinkedFile } from "./linked-element.js";
import { LinkedEnum } from "./linked-enum.js";
import { LinkedField, LinkedMessage } from "./linked-message.js";
import { LinkedService } from "./linked-service.js";
import type { EnumType, Field, FileDescriptor, MessageType, Model, ServiceType } from "./model.js";
import type { SourceFile } from "./source-file.js";
import type {
  DescriptorSymbol,
  EnumSymbol,
  ExtensionSymbol,
  MessageSymbol,
  SymbolTable,
} from "./symbol-table.js";

/** The model over a table of symbols. Types are linked when first asked for, and then kept. */
export class LinkedModel implements Model {
  readonly files: ReadonlyMap<string, FileDescriptor>;
  readonly #sources: readonly SourceFile[];
  readonly #table: SymbolTable;
  readonly #linkedFiles: ReadonlyMap<SourceFile, LinkedFile>;
  readonly #messages = new Map<string, LinkedMessage>();
  readonly #enums = new Map<string, LinkedEnum>();
  readonly #extensions = new Map<string, Field>();
  readonly #extensionsByNumber = new Map<string, Map<number, ExtensionSymbol>>();
  #services: ReadonlyMap<string, ServiceType> | undefined;

  /** @param sources the files in the order of their names' first mention */
  constructor(sources: readonly SourceFile[], table: SymbolTable, imported: Imported) {
    this.#sources = dependenciesFirst(sources, imported);
    this.#table = table;
    const linked = new Map<SourceFile, LinkedFile>();
    for (const source of this.#sources) {
      const declared = source.proto.dependency.map(path => imported(source, path)?.name ?? path);
      // Servers may merge files, so what they use can be circular, which imports cannot be.
      const added = [...source.adopted].filter(file => linked.has(file)).map(({ name }) => name);
      linked.set(source, new LinkedFile(source, [...new Set([...declared, ...added])]));
    }
    this.#linkedFiles = linked;
    this.files = new Map([...this.#linkedFiles.values()].map(file => [file.name, file]));
    for (const symbol of table.symbols.values())
      if (symbol.kind === "extension") this.#enterExtension(symbol);
  }

  get services(): ReadonlyMap<string, ServiceType> {
    this.#services ??= this.#linkServices();
    return this.#services;
  }

  message(fullName: string): MessageType | undefined {
    const linked = this.#messages.get(fullName);
    if (linked !== undefined) return linked;
    const symbol = this.#table.symbols.get(fullName);
    return symbol?.kind === "message" ? this.#linkMessage(symbol) : undefined;
  }

  enum(fullName: string): EnumType | undefined {
    const linked = this.#enums.get(fullName);
    if (linked !== undefined) return linked;
    const symbol = this.#table.symbols.get(fullName);
    return symbol?.kind === "enum" ? this.#linkEnum(symbol) : undefined;
  }

  extension(extendee: string, number: number): Field | undefined {
    const symbol = this.#extensionsByNumber.get(extendee)?.get(number);
    return symbol === undefined ? undefined : this.extensionByName(symbol.fullName);
  }

  extensionByName(fullName: string): Field | undefined {
    const linked = this.#extensions.get(fullName);
    if (linked !== undefined) return linked;
    const symbol = this.#table.symbols.get(fullName);
    return symbol?.kind === "extension" ? this.#linkExtension(symbol) : undefined;
  }

  descriptorSet(): Uint8Array {
    return encodeSet(this.#sources.map(source => this.#serialize(source)));
  }

  #enterExtension(symbol: ExtensionSymbol): void {
    const extendee = symbol.proto.extendee?.slice(1) ?? "";
    const known = this.#extensionsByNumber.get(extendee);
    const { number } = symbol.proto;
    if (known === undefined) this.#extensionsByNumber.set(extendee, new Map([[number, symbol]]));
    else if (!known.has(number)) known.set(number, symbol);
  }

  #linkServices(): ReadonlyMap<string, ServiceType> {
    const services = new Map<string, ServiceType>();
    for (const symbol of this.#table.symbols.values()) {
      if (symbol.kind !== "service") continue;
      services.set(symbol.fullName, new LinkedService(this, this.#file(symbol), symbol));
    }
    return services;
  }

  #linkMessage(symbol: MessageSymbol): LinkedMessage {
    const linked = new LinkedMessage(this, this.#file(symbol), symbol, this.#inherited(symbol));
    this.#messages.set(symbol.fullName, linked);
    return linked;
  }

  #linkEnum(symbol: EnumSymbol): LinkedEnum {
    const linked = new LinkedEnum(this, this.#file(symbol), symbol, this.#inherited(symbol));
    this.#enums.set(symbol.fullName, linked);
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
    if (parent === undefined) return this.#file(symbol).features;
    return (this.#messages.get(parent.fullName) ?? this.#linkMessage(parent)).features;
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
    const copy = { ...proto, ...{ name: source.name, package: scope } };
    copy.dependency = [...this.#linkedFiles.get(source)!.dependencies];
    copy.messageType = keep(proto.messageType);
    copy.enumType = keep(proto.enumType);
    copy.service = keep(proto.service);
    copy.extension = keep(proto.extension);
    for (const element of dropped) {
      const name = (element as { name: string }).name;
      const owner = this.#table.symbols.get(scope === "" ? name : `${scope}.${name}`)?.file.name;
      if (owner === undefined || owner === source.name || copy.dependency.includes(owner)) continue;
      copy.publicDependency = [...copy.publicDependency, copy.dependency.length];
      copy.dependency.push(owner);
    }
    if (proto.sourceCodeInfo !== undefined) copy.sourceCodeInfo = pruneLocations(proto, dropped);
    return copy;
  }
}

/** Source info addresses elements by index, so what follows a dropped element moves up. */
function pruneLocations(proto: FileProto, dropped: ReadonlySet<object>): Uint8Array {
  const lists = new Map<number, readonly object[]>([
    [Path.FILE_MESSAGE, proto.messageType],
    [Path.FILE_ENUM, proto.enumType],
    [Path.FILE_SERVICE, proto.service],
    [Path.FILE_EXTENSION, proto.extension],
  ]);
  const kept = decodeLocations(proto.sourceCodeInfo ?? new Uint8Array()).flatMap(location => {
    const [list = 0, index] = location.path;
    const elements = lists.get(list);
    if (elements === undefined || index === undefined) return [location];
    if (dropped.has(elements[index] ?? elements)) return [];
    const moved = index - elements.slice(0, index).filter(element => dropped.has(element)).length;
    return [{ ...location, path: [list, moved, ...location.path.slice(2)] }];
  });
  return encodeLocations(kept);
}

function dependenciesFirst(sources: readonly SourceFile[], imported: Imported): SourceFile[] {
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
    }
  }
  return [...ordered];
}
