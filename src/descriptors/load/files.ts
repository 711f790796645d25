import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { atOnce, type Steps } from "../../net/pace.js";
import { DiagnosticList } from "../diagnostic-list.js";
import { type SymbolTable, topLevel } from "../link/symbols.js";
import { givesWay, type Imported, isWellKnown, type SourceFile } from "../source-file.js";
import { hasProto, listProtos, readProto } from "./read.js";

/** The files of one input that another input has files of the same path as, by that path. */
type Renamed = Map<string, SourceFile>;

const DESCRIPTOR_PROTO = "google/protobuf/descriptor.proto";

/**
 * The files of all inputs. A path names a file within its input: where another input has one of the same path, the
 * later file gets a name of its own.
 */
export class FileTable {
  /** Paths of files that exist but could not be read or parsed: reported already. */
  readonly broken = new Set<string>();
  readonly #byName = new Map<string, SourceFile>();
  readonly #renamed = new Map<SourceFile, Renamed>();
  readonly #uses = new Map<string, number>();
  /** Files that are no part of the model, since others define all that is in them. */
  readonly #repeated: SourceFile[] = [];
  #byLastSegment: Map<string, string[]> | undefined;

  /** Enters the files of one input, one after the other. */
  input(): (file: SourceFile) => void {
    const renamed: Renamed = new Map();
    return file => this.#enter(file, renamed);
  }

  /** Adds the bundled files that are imported, always needed, or of a package that an input has a poor copy of. */
  *enterBundled(comments: boolean, problems: DiagnosticList): Steps {
    const enter = this.input();
    const required = new Set(alwaysBundled());
    for (const { proto } of this.#byName.values()) {
      yield 1 + proto.dependency.length / 10;
      for (const name of proto.dependency) required.add(name);
    }
    const copies = [...this.#byName.values()].filter(givesWay).map(({ proto }) => proto.package);
    for (const name of [...new Set(copies)].flatMap(bundledFilesOf)) required.add(name);
    for (const name of required) {
      if (this.#byName.has(name) || this.broken.has(name)) continue;
      const file = yield* readBundled(name, comments, problems);
      if (file === undefined) continue;
      enter(file);
      for (const dependency of file.proto.dependency) required.add(dependency);
    }
  }

  /** Takes out the files that add nothing to the model, once all symbols are known. */
  *removeRepeated(table: SymbolTable): Steps {
    const imported = new Set<string>();
    for (const { proto } of this.#byName.values()) {
      yield 1 + proto.dependency.length / 10;
      for (const name of proto.dependency) imported.add(name);
    }
    for (const file of this.#byName.values()) {
      const path = file.proto.name;
      const first = file.name === path ? undefined : this.#byName.get(path);
      const replaceable = givesWay(file)
        ? file.source !== "bundle" && (first !== undefined || !imported.has(path))
        : first !== undefined;
      const owners = new Set<SourceFile | undefined>();
      for (const { fullName } of replaceable ? topLevel(file) : []) {
        yield 1;
        owners.add(table.symbols.get(fullName)?.file);
      }
      const repeated =
        replaceable &&
        (givesWay(file) ? !owners.has(file) : owners.size === 0 || (owners.size === 1 && owners.has(first)));
      if (!repeated) continue;
      this.#byName.delete(file.name);
      this.#repeated.push(file);
      const renamed = this.#renamed.get(file);
      if (renamed?.get(path) === file) renamed.delete(path);
    }
  }

  readonly imported: Imported = (importer, path) =>
    this.#renamed.get(importer)?.get(path) ?? this.#byName.get(path);

  /** All files that have names in the model. */
  model(): SourceFile[] {
    return [...this.#byName.values()];
  }

  /** These, and those that are only compared with them. */
  all(): SourceFile[] {
    return [...this.#byName.values(), ...this.#repeated];
  }

  /** Everything that could be imported. */
  *names(): Iterable<string> {
    yield* this.#byName.keys();
    yield* bundledNames();
  }

  /** One of these names that ends in `/` and the given path. */
  endingIn(path: string): string | undefined {
    if (this.#byLastSegment === undefined) {
      this.#byLastSegment = new Map();
      for (const name of this.names()) {
        const known = this.#byLastSegment.get(lastSegment(name));
        if (known === undefined) this.#byLastSegment.set(lastSegment(name), [name]);
        else known.push(name);
      }
    }
    return this.#byLastSegment.get(lastSegment(path))?.find(name => name.endsWith(`/${path}`));
  }

  #enter(file: SourceFile, renamed: Renamed): void {
    const { name, proto } = file;
    // Options are read by descriptor.proto, so a copy older than editions would hide the options of newer files.
    if (name === DESCRIPTOR_PROTO && !proto.messageType.some(type => type.name === "FeatureSet")) return;
    const first = this.#byName.get(name);
    const copy = givesWay(file);
    if (!copy && isWellKnown(proto.package) && first !== undefined && !givesWay(first)) {
      if (proto.messageType.length <= first.proto.messageType.length) return;
    } else if (first !== undefined || (copy && file.source !== "bundle" && bundledNames().includes(name))) {
      file.name = this.#freeName(name);
      if (first === undefined || this.#renamed.get(first) !== renamed) renamed.set(name, file);
    }
    this.#byName.set(file.name, file);
    this.#renamed.set(file, renamed);
  }

  #freeName(path: string): string {
    for (let use = this.#uses.get(path) ?? 2; ; use++) {
      const name = `${use}/${path}`;
      if (this.#byName.has(name)) continue;
      this.#uses.set(path, use + 1);
      return name;
    }
  }
}

function lastSegment(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The `.proto` files that come with this package. */
export const bundleFolder = fileURLToPath(new URL("../../../protos", import.meta.url));

/** Folders of bundled definitions; their parent holds protos of examples as well. */
const bundleParts = [
  "buf/",
  "gogoproto/",
  "google/",
  "grpc/",
  "protoc-gen-openapiv2/",
  "protoc-gen-swagger/",
  "trpc/",
  "validate/",
];

/** Bundled files that some import by another path. */
const fileAliases: ReadonlyMap<string, string> = new Map([
  ["github.com/gogo/protobuf/gogoproto/gogo.proto", "gogoproto/gogo.proto"],
  ["github.com/cosmos/gogoproto/gogoproto/gogo.proto", "gogoproto/gogo.proto"],
  ["github.com/envoyproxy/protoc-gen-validate/validate/validate.proto", "validate/validate.proto"],
]);

/** Features of languages; only files that import them need them. */
const languageFeatures = ["cpp", "go", "java"].map(name => `google/protobuf/${name}_features.proto`);

/** Where packages are that lie in no folder of their own name. */
const filesOfPackages: ReadonlyMap<string, readonly string[]> = new Map([
  ["pb", languageFeatures],
  ["grpc.gateway.protoc_gen_openapiv2.options", optionFiles("protoc-gen-openapiv2")],
  ["grpc.gateway.protoc_gen_swagger.options", optionFiles("protoc-gen-swagger")],
]);

let names: readonly string[] | undefined;

/** Import paths of all bundled files. */
export function bundledNames(): readonly string[] {
  names ??= atOnce(listProtos(bundleFolder, new DiagnosticList())).filter(name =>
    bundleParts.some(part => name.startsWith(part)),
  );
  return names;
}

/** Always in the model: errors and well-known types must be readable with every set of user protos. */
function alwaysBundled(): readonly string[] {
  const needed = ["google/rpc/error_details.proto", "google/rpc/status.proto", "google/api/httpbody.proto"];
  return [...needed, ...bundledFilesOf("google.protobuf").filter(name => !languageFeatures.includes(name))];
}

/** Import paths of the bundled files that make up a package. */
function bundledFilesOf(packageName: string): readonly string[] {
  const known = filesOfPackages.get(packageName);
  if (known !== undefined) return known;
  const folder = `${packageName.replaceAll(".", "/")}/`;
  return bundledNames().filter(name => name.startsWith(folder) && !name.includes("/", folder.length));
}

/** A fresh copy of a bundled file, since linking changes it; undefined where there is none of that name. */
function* readBundled(
  name: string,
  comments: boolean,
  problems: DiagnosticList,
): Steps<SourceFile | undefined> {
  const target = fileAliases.get(name) ?? name;
  if (!bundleParts.some(part => target.startsWith(part)) || !hasProto(bundleFolder, target)) return undefined;
  const file = yield* readProto(bundleFolder, target, "bundle", comments, problems);
  if (file === undefined) return undefined;
  file.name = name;
  file.proto.name = name;
  return file;
}

function optionFiles(generator: string): readonly string[] {
  return ["annotations", "openapiv2"].map(name => `${generator}/options/${name}.proto`);
}

/** The files of all inputs, and how one names another. */
interface ImportTable {
  readonly imported: Imported;
  /** Files that exist but could not be read or parsed: reported already. */
  readonly broken: ReadonlySet<string>;
  /** The folders in which imports of a parsed file were searched, for messages. */
  searched(file: SourceFile): readonly string[];
  /** Names that could have been meant. */
  names(): Iterable<string>;
  /** One of these names that ends in `/` and the given path. */
  endingIn(path: string): string | undefined;
}

/** Units for finding the folder of an import, which takes a few calls of the file system. */
const unitsPerSearch = 50;

/** Reports imports that name no file, and marks the files that have such. */
export function* checkImports(file: SourceFile, table: ImportTable, problems: DiagnosticList): Steps {
  const { imported, broken } = table;
  yield 1;
  if (file.parsed === undefined) {
    for (const name of file.proto.dependency) {
      yield 1;
      if (imported(file, name) !== undefined) continue;
      // Sets may leave files out whose options or types nothing uses; a type that is missing is reported as such.
      const message = `"${file.proto.name}" imports "${name}", which is in no descriptor source`;
      problems.warning({ message, position: { file: file.origin, line: 0, column: 0 } });
    }
    return;
  }
  for (const { name, line, column } of file.parsed.imports) {
    yield 1;
    if (imported(file, name) !== undefined) continue;
    file.incomplete = true;
    if (broken.has(name)) continue;
    if (problems.full) {
      problems.errors++;
      continue;
    }
    yield unitsPerSearch;
    const searched = [...new Set(table.searched(file))].join(", ");
    const root = outerRoot(file.origin, name);
    const advice =
      root === undefined ? "" : `; it is below ${root}: use that folder as "protos", or add it to "include"`;
    const message = `imports "${name}", which was not found in ${searched}${advice}`;
    const position = { file: file.origin, line, column };
    // The usual mistake is a folder that is not the one that imports start from.
    const suggestion = table.endingIn(name);
    if (suggestion !== undefined) problems.error({ message, position, suggestion });
    else problems.error({ message, position }, table.names(), name);
  }
}

/** The nearest folder above a file that an import path would lead from to a file. */
function outerRoot(origin: string, name: string): string | undefined {
  for (let folder = dirname(origin); ; folder = dirname(folder)) {
    if (hasProto(folder, name)) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}

/** Reports every circle of imports once, at the import that closes it. */
export function* checkCycles(
  files: readonly SourceFile[],
  imports: Imported,
  problems: DiagnosticList,
): Steps {
  const done = new Set<SourceFile>();
  for (const root of files) {
    const chain: { file: SourceFile; next: number }[] = [{ file: root, next: 0 }];
    const open = new Set([root]);
    for (let top = chain.at(-1); top !== undefined; top = chain.at(-1)) {
      yield 1;
      const name = done.has(top.file) ? undefined : top.file.proto.dependency[top.next++];
      if (name === undefined) {
        done.add(top.file);
        open.delete(top.file);
        chain.pop();
        continue;
      }
      const imported = imports(top.file, name);
      if (imported === undefined || done.has(imported)) continue;
      if (open.has(imported)) {
        if (problems.full) problems.errors++;
        else
          yield reportCycle(
            chain.map(({ file }) => file),
            imported,
            problems,
          );
      } else {
        open.add(imported);
        chain.push({ file: imported, next: 0 });
      }
    }
  }
}

/** @returns the units that it took */
function reportCycle(chain: readonly SourceFile[], imported: SourceFile, problems: DiagnosticList): number {
  const names = [...chain.slice(chain.indexOf(imported)), imported].map(file => `"${file.proto.name}"`);
  const last = chain.at(-1)!;
  const importLine = last.parsed?.imports.find(({ name }) => name === imported.proto.name);
  const position = { file: last.origin, line: importLine?.line ?? 0, column: importLine?.column ?? 0 };
  problems.error({ message: `imports form a circle: ${names.join(" imports ")}`, position });
  return names.length / 10;
}
