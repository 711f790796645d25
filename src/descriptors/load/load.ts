import { dirname, join, relative, sep } from "node:path";
import { type Diagnostic, type FilePosition, LoadError } from "../../config/diagnostic.js";
import { createPace, inTurns, type Pace, type Steps } from "../../net/pace.js";
import { DiagnosticList } from "../diagnostic-list.js";
import { checkDuplicates } from "../link/equality.js";
import { createLinkage, linkModel } from "../link/linked-model.js";
import { checkOptions, encodeOptions } from "../link/options.js";
import { resolveTypes } from "../link/resolve.js";
import { Scope, SymbolTable } from "../link/symbols.js";
import type { Model } from "../model.js";
import { qualify } from "../names.js";
import type { SourceFile } from "../source-file.js";
import { givesWay } from "../source-file.js";
import { bundleFolder, checkCycles, checkImports, FileTable } from "./files.js";
import {
  hasProto,
  listProtos,
  readFiles,
  readProto,
  readSet,
  unitsPerLook,
  withoutExcluded,
} from "./read.js";

/** One source of descriptors. */
export type DescriptorInput =
  /**
   * All `.proto` files below a folder, or one `.proto` file and its imports. Imports are looked up in the folder,
   * then in `include`, then in the bundled files. A file below an included folder has the path in it as its name.
   * Files of the folder that fit a glob of `exclude` are read only where others import them.
   */
  | {
      readonly kind: "protos";
      readonly folder: string;
      readonly include: readonly string[];
      readonly exclude?: readonly string[];
    }
  /** A serialized `google.protobuf.FileDescriptorSet`. */
  | { readonly kind: "set"; readonly file: string }
  /**
   * Serialized `google.protobuf.FileDescriptorProto`s in any order as reflection gives them, and their origin,
   * for messages. Some servers rebuild their descriptors from incomplete data at run time, so types may be used
   * without an import (a warning a file), and the bundled files replace copies of bundled packages.
   */
  | { readonly kind: "files"; readonly origin: string; readonly files: readonly Uint8Array[] };

/**
 * Loads all inputs into one model. Equal definitions may occur more than once, and a path names a file within
 * its input only. Definitions of the user replace the bundled ones, which complete the model: well-known types and
 * `google.rpc` errors are always in it.
 * @param pace bounds the work in one turn of the event loop
 * @param comments whether comments and lines are kept, which documents need; else they are read at their first use
 * @param services full names of the services that are used, and patterns such as `package.**`: files of a folder that
 * none of them needs are left out, with a warning, where they cannot be loaded. Left out: all files are needed
 * @returns the model, and warnings
 * @throws LoadError with all problems: unreadable or malformed files, missing or circular imports, unknown types,
 * option values that do not fit, different definitions of one name
 */
export async function loadModel(
  inputs: readonly DescriptorInput[],
  pace: Pace = createPace(),
  services?: readonly string[],
  comments = true,
): Promise<{ model: Model; diagnostics: readonly Diagnostic[] }> {
  const leftOut = new Map<string, Diagnostic>();
  for (;;) {
    const loader = new Loader(leftOut, comments);
    for (const input of inputs) await loader.read(input, pace);
    const model = await inTurns(pace, loader.link());
    const { diagnostics, errors } = loader.problems;
    if (errors === 0 && model !== undefined)
      return { model, diagnostics: [...leftOut.values(), ...diagnostics] };
    const needless = services && (await inTurns(pace, loader.needless(services)));
    const warnings = needless ?? new Map<string, Diagnostic>();
    const left = diagnostics.filter(
      ({ severity, position }) => severity !== "error" || !warnings.has(position?.file ?? ""),
    );
    if (warnings.size === 0 || left.some(({ severity }) => severity === "error"))
      throw new LoadError([...leftOut.values(), ...warnings.values(), ...left]);
    for (const [origin, warning] of warnings) leftOut.set(origin, warning);
  }
}

class Loader {
  readonly problems = new DiagnosticList();
  readonly #files = new FileTable();
  readonly #searched = new Map<SourceFile, readonly string[]>();
  readonly #table = new SymbolTable();
  readonly #scopes = new Map<SourceFile, Scope>();
  /** The files of folders by their origin; undefined where one could not be read or parsed. */
  readonly #inFolders = new Map<string, SourceFile | undefined>();

  /** @param leftOut origins of files to do without */
  constructor(
    readonly leftOut: ReadonlyMap<string, unknown>,
    readonly comments: boolean,
  ) {}

  async read(input: DescriptorInput, pace: Pace): Promise<void> {
    const enter = this.#files.input();
    switch (input.kind) {
      case "protos":
        await inTurns(pace, this.#readFolder(input.folder, input.include, input.exclude ?? [], enter));
        break;
      case "set":
        for (const file of await readSet(input.file, this.comments, pace, this.problems)) enter(file);
        break;
      case "files": {
        const files = readFiles("files", input.origin, input.files, this.problems);
        for (const file of await inTurns(pace, files)) enter(file);
        break;
      }
    }
  }

  /** The linked model; undefined where problems left nothing to link. */
  *link(): Steps<Model | undefined> {
    const model = yield* this.#link();
    yield* this.problems.suggest();
    return model;
  }

  *#link(): Steps<Model | undefined> {
    const { problems } = this;
    const files = this.#files;
    yield* files.enterBundled(this.comments, problems);
    yield* this.#define(files.all());
    yield* files.removeRepeated(this.#table);
    const all = files.all();
    const imports = {
      imported: files.imported,
      broken: files.broken,
      searched: (file: SourceFile) => this.#searched.get(file) ?? [bundleFolder],
      names: () => files.names(),
      endingIn: (path: string) => files.endingIn(path),
    };
    for (const file of all) yield* checkImports(file, imports, problems);
    for (const file of all) yield* checkOptions(file, problems);
    yield* checkCycles(files.model(), files.imported, problems);
    for (const file of all) {
      yield* resolveTypes(file, this.#table, () => this.#scope(file), problems);
      yield 1 + (this.#scopes.get(file)?.files.size ?? 0) / 5;
    }
    if (problems.errors > 0) return undefined;

    // Options change how types are linked, so each stage links anew.
    const linkage = yield* createLinkage(files.model(), this.#table, files.imported);
    for (const pass of ["standard", "custom"] as const) {
      const model = yield* linkModel(linkage);
      for (const file of all) {
        // A user's older copy may not know an option that a bundled file uses, which is no mistake.
        const report = file.source === "bundle" ? new DiagnosticList() : problems;
        yield* encodeOptions(file, pass, model, () => this.#scope(file), report);
      }
    }
    const model = yield* linkModel(linkage);
    yield* checkDuplicates(this.#table.duplicates, model, problems);
    yield* model.linkLarge();
    yield* model.linkServices(this.comments);
    for (const file of all) file.parsed = undefined;
    return model;
  }

  /** The first definition of a name stays, so that files that give way come last, reflected copies after the bundle. */
  *#define(files: readonly SourceFile[]): Steps {
    const rank = (file: SourceFile) => (givesWay(file) ? (file.source === "bundle" ? 1 : 2) : 0);
    for (const each of [0, 1, 2])
      for (const file of files) if (rank(file) === each) yield* this.#table.add(file);
  }

  *#readFolder(
    given: string,
    include: readonly string[],
    exclude: readonly string[],
    enter: (file: SourceFile) => void,
  ): Steps {
    const { folder, names } = given.endsWith(".proto") ? singleFile(given, include) : { folder: given };
    const files: SourceFile[] = [];
    const known = new Set<string>();
    const searched = [folder, ...include, bundleFolder];
    const roots = names === undefined && exclude.length === 0 ? include : [folder, ...include];
    const read = function* (this: Loader, from: string, name: string): Steps {
      known.add(name);
      const origin = join(from, name);
      if (this.leftOut.has(origin)) return;
      const file = yield* readProto(from, name, "protos", this.comments, this.problems);
      if (names === undefined) this.#inFolders.set(origin, file);
      if (file === undefined) {
        this.#files.broken.add(name);
        return;
      }
      this.#searched.set(file, searched);
      files.push(file);
      enter(file);
    }.bind(this);
    const included = withoutExcluded(
      names ?? (yield* listProtos(folder, this.problems)),
      exclude,
      folder,
      this.problems,
    );
    for (const name of included) yield* read(folder, name);
    // Grows while it is walked: included files have imports too.
    for (const file of files) {
      for (const { name } of file.parsed?.imports ?? []) {
        if (known.has(name)) continue;
        yield roots.length * unitsPerLook;
        const from = roots.find(each => hasProto(each, name));
        if (from !== undefined) yield* read(from, name);
      }
    }
  }

  /**
   * Warnings about the files of folders that have errors and are not needed by any of the services, and about those that
   * import them, by their origin.
   */
  *needless(services: readonly string[]): Steps<ReadonlyMap<string, Diagnostic>> {
    const needed = yield* this.#needed(services);
    const warnings = new Map<string, Diagnostic>();
    for (const { severity, position, message } of this.problems.diagnostics) {
      if (severity !== "error" || position === undefined || warnings.has(position.file)) continue;
      if (this.#inFolders.has(position.file) && !needed.has(position.file))
        warnings.set(position.file, leftOutWarning(message, position));
    }
    const importers = new Map<string, SourceFile[]>();
    for (const file of this.#inFolders.values()) {
      for (const { name } of file?.parsed?.imports ?? []) {
        yield 1;
        const origin = this.#originOf(file!, name);
        const known = importers.get(origin);
        if (known === undefined) importers.set(origin, [file!]);
        else known.push(file!);
      }
    }
    // Grows during the loop: files that import a file that is left out are left out, too.
    for (const [left] of warnings) {
      for (const { origin, parsed } of importers.get(left) ?? []) {
        yield 1;
        if (warnings.has(origin) || needed.has(origin)) continue;
        const importLine = parsed?.imports.find(({ name }) => left.endsWith(`/${name}`));
        const position = { file: origin, line: importLine?.line ?? 0, column: importLine?.column ?? 0 };
        warnings.set(origin, leftOutWarning(`imports ${left}, which is left out`, position));
      }
    }
    return warnings;
  }

  /** Origins of the files that declare these services, and of all that they import. */
  *#needed(services: readonly string[]): Steps<ReadonlySet<string>> {
    const exact = new Set(services);
    const missing = new Set(services);
    const prefixes = services.flatMap(name => (name.endsWith(".**") ? [name.slice(0, -2)] : []));
    const needed = new Set<SourceFile>();
    for (const file of this.#files.all()) {
      for (const { name } of file.proto.service) {
        yield 1;
        const fullName = qualify(file.proto.package, name);
        const fitting = prefixes.filter(prefix => fullName.startsWith(prefix));
        if (!exact.has(fullName) && fitting.length === 0) continue;
        needed.add(file);
        for (const found of [fullName, ...fitting.map(prefix => `${prefix}**`)]) missing.delete(found);
      }
    }
    const origins = new Set<string>();
    // A service that no file declares may be in one that cannot be parsed.
    for (const [origin, file] of this.#inFolders)
      if (file === undefined && missing.size > 0) origins.add(origin);
    // Grows while it is walked: imports have imports.
    for (const file of needed) {
      origins.add(file.origin);
      for (const name of [...file.proto.dependency, ...file.proto.optionDependency]) {
        yield 1;
        origins.add(this.#originOf(file, name));
        const imported = this.#files.imported(file, name);
        if (imported !== undefined) needed.add(imported);
      }
    }
    return origins;
  }

  /** Where the file that another one imports is, be it one that could not be parsed. */
  #originOf(importer: SourceFile, name: string): string {
    const imported = this.#files.imported(importer, name);
    if (imported !== undefined) return imported.origin;
    const folders = this.#searched.get(importer) ?? [];
    return folders.map(folder => join(folder, name)).find(origin => this.#inFolders.has(origin)) ?? "";
  }

  #scope(file: SourceFile): Scope {
    let scope = this.#scopes.get(file);
    if (scope === undefined) {
      scope = new Scope(this.#table, file, this.#files.imported);
      this.#scopes.set(file, scope);
    }
    return scope;
  }
}

function leftOutWarning(message: string, position: FilePosition): Diagnostic {
  return { severity: "warning", message: `left out, as no service in use needs it: ${message}`, position };
}

/** The folder that a single file's imports start from, and its import path there. */
function singleFile(file: string, include: readonly string[]): { folder: string; names: string[] } {
  const folder = include.find(each => file.startsWith(`${each}${sep}`)) ?? dirname(file);
  return { folder, names: [relative(folder, file).replaceAll(sep, "/")] };
}
