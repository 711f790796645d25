import { type Diagnostic, LoadError } from "../config/diagnostic.js";
import { alwaysBundled, BUNDLE_FOLDER, bundledNames, isWellKnown, readBundled } from "./bundle.js";
import { readFiles, readSet } from "./descriptor-set.js";
import { checkDuplicates, checkRepeated } from "./equality.js";
import { checkCycles, checkImports } from "./imports.js";
import { LinkedModel } from "./linked-model.js";
import type { Model } from "./model.js";
import { checkOptions } from "./option-check.js";
import { encodeOptions } from "./option-statements.js";
import { Problems } from "./problems.js";
import { hasProto, listProtos, readProto } from "./proto-folder.js";
import { resolveTypes } from "./resolve.js";
import { Scope } from "./scope.js";
import type { SourceFile } from "./source-file.js";
import { SymbolTable } from "./symbol-table.js";

/** One place that descriptors come from. */
export type DescriptorInput =
  /** All `.proto` files below a folder; imports are looked for in it, then in `include`, then in the bundled files. */
  | { readonly kind: "protos"; readonly folder: string; readonly include: readonly string[] }
  /** A serialized `google.protobuf.FileDescriptorSet`. */
  | { readonly kind: "set"; readonly file: string }
  /** Serialized `google.protobuf.FileDescriptorProto`s in any order, and where they are from, for messages. */
  | { readonly kind: "files"; readonly origin: string; readonly files: readonly Uint8Array[] };

/**
 * Loads all inputs into one model. Definitions that are equal may come more than once; those of the user replace the
 * bundled ones, which complete the model: well-known types and `google.rpc` errors are always in it.
 * @returns the model, and warnings
 * @throws LoadError with all problems: unreadable or malformed files, missing or circular imports, unknown types,
 * option values that do not fit, different definitions of one name
 */
export async function loadModel(
  inputs: readonly DescriptorInput[],
): Promise<{ model: Model; diagnostics: readonly Diagnostic[] }> {
  const loader = new Loader();
  for (const input of inputs) await loader.read(input);
  const model = await loader.link();
  const { diagnostics, errors } = loader.problems;
  if (errors > 0 || model === undefined) throw new LoadError(diagnostics);
  return { model, diagnostics };
}

const FILES_PER_TURN = 100;
const DESCRIPTOR_PROTO = "google/protobuf/descriptor.proto";

class Loader {
  readonly problems = new Problems();
  /** The first file of each name. */
  readonly #byName = new Map<string, SourceFile>();
  /** Files of the same name as an earlier one: linked only to be compared with it. */
  readonly #repeated: SourceFile[] = [];
  readonly #broken = new Set<string>();
  readonly #searched = new Map<SourceFile, readonly string[]>();
  readonly #table = new SymbolTable();
  readonly #scopes = new Map<SourceFile, Scope>();

  async read(input: DescriptorInput): Promise<void> {
    switch (input.kind) {
      case "protos":
        await this.#readFolder(input.folder, input.include);
        break;
      case "set":
        for (const file of await readSet(input.file, this.problems)) this.#enter(file);
        break;
      case "files":
        for (const file of readFiles(input.origin, input.files, this.problems)) this.#enter(file);
        break;
    }
  }

  /** The linked model; undefined where problems left nothing to link. */
  async link(): Promise<Model | undefined> {
    const { problems } = this;
    this.#enterBundled();
    const byName = this.#byName;
    const all = [...byName.values(), ...this.#repeated];
    const imports = {
      byName,
      broken: this.#broken,
      searched: (file: SourceFile) => this.#searched.get(file) ?? [BUNDLE_FOLDER],
      names: () => new Set([...byName.keys(), ...bundledNames()]),
    };
    for (const file of all) checkImports(file, imports, problems);
    for (const file of all) checkOptions(file, problems);
    for (const file of this.#repeated) checkRepeated(byName.get(file.name)!, file, problems);
    checkCycles([...byName.values()], byName, problems);

    const [user, bundled] = [all.filter(file => !file.bundled), all.filter(file => file.bundled)];
    for (const file of [...user, ...bundled]) this.#table.add(file);
    await this.#each(all, file => resolveTypes(file, this.#table, () => this.#scope(file), problems));
    if (problems.errors > 0) return undefined;

    for (const pass of ["standard", "custom"] as const) {
      const model = this.#model();
      await this.#each(all, file => encodeOptions(file, pass, model, () => this.#scope(file), problems));
    }
    const model = this.#model();
    checkDuplicates(this.#table.duplicates, model, problems);
    for (const file of all) file.parsed = undefined;
    return model;
  }

  /** Options change how types are linked, so each stage links anew. */
  #model(): LinkedModel {
    return new LinkedModel([...this.#byName.values()], this.#table);
  }

  async #readFolder(folder: string, include: readonly string[]): Promise<void> {
    const files: SourceFile[] = [];
    const known = new Set<string>();
    const searched = [folder, ...include, BUNDLE_FOLDER];
    const read = (from: string, name: string) => {
      known.add(name);
      const file = readProto(from, name, false, this.problems);
      if (file === undefined) {
        this.#broken.add(name);
        return;
      }
      this.#searched.set(file, searched);
      files.push(file);
      this.#enter(file);
    };
    await this.#each(listProtos(folder, this.problems), name => read(folder, name));
    // Grows while it is walked: included files have imports too.
    for (const file of files) {
      for (const { name } of file.parsed?.imports ?? []) {
        const from = known.has(name) ? undefined : include.find(each => hasProto(each, name));
        if (from !== undefined) read(from, name);
      }
    }
  }

  #enter(file: SourceFile): void {
    // Options are read by descriptor.proto, so one that is older than editions would hide what newer files say.
    if (file.name === DESCRIPTOR_PROTO && !file.proto.messageType.some(({ name }) => name === "FeatureSet"))
      return;
    const first = this.#byName.get(file.name);
    if (first === undefined) this.#byName.set(file.name, file);
    else if (!isWellKnown(file.proto.package)) this.#repeated.push(file);
    else if (file.proto.messageType.length > first.proto.messageType.length)
      this.#byName.set(file.name, file);
  }

  #enterBundled(): void {
    const wanted = new Set(alwaysBundled());
    for (const file of this.#byName.values()) for (const name of file.proto.dependency) wanted.add(name);
    for (const name of wanted) {
      if (this.#byName.has(name) || this.#broken.has(name)) continue;
      const file = readBundled(name, this.problems);
      if (file === undefined) continue;
      this.#byName.set(name, file);
      for (const dependency of file.proto.dependency) wanted.add(dependency);
    }
  }

  #scope(file: SourceFile): Scope {
    let scope = this.#scopes.get(file);
    if (scope === undefined) {
      scope = new Scope(this.#table, file, name => this.#byName.get(name));
      this.#scopes.set(file, scope);
    }
    return scope;
  }

  /** Lets other work go on between the parts of a long run, so that a reload does not stall requests. */
  async #each<T>(items: readonly T[], visit: (item: T) => void): Promise<void> {
    for (let start = 0; start < items.length; start += FILES_PER_TURN) {
      for (const item of items.slice(start, start + FILES_PER_TURN)) visit(item);
      await new Promise(resolve => setImmediate(resolve));
    }
  }
}
