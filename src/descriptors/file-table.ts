import type { Steps } from "../net/pace.js";
import { alwaysBundled, bundledFilesOf, bundledNames, readBundled } from "./bundle.js";
import type { Problems } from "./problems.js";
import type { SourceFile } from "./source-file.js";
import { type SymbolTable, topLevel } from "./symbol-table.js";
import { givesWay, isWellKnown } from "./well-known.js";

/** The file that an import of `importer` names; undefined where there is none. */
export type Imported = (importer: SourceFile, path: string) => SourceFile | undefined;

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
  *enterBundled(problems: Problems): Steps {
    const enter = this.input();
    const wanted = new Set(alwaysBundled());
    for (const { proto } of this.#byName.values()) {
      yield 1 + proto.dependency.length / 10;
      for (const name of proto.dependency) wanted.add(name);
    }
    const copies = [...this.#byName.values()].filter(givesWay).map(({ proto }) => proto.package);
    for (const name of [...new Set(copies)].flatMap(bundledFilesOf)) wanted.add(name);
    for (const name of wanted) {
      if (this.#byName.has(name) || this.broken.has(name)) continue;
      const file = yield* readBundled(name, problems);
      if (file === undefined) continue;
      enter(file);
      for (const dependency of file.proto.dependency) wanted.add(dependency);
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
    // Options are read by descriptor.proto, so one that is older than editions would hide what newer files say.
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
