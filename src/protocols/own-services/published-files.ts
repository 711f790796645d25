import { decodeFileInSteps } from "../../descriptors/descriptor-codec.js";
import type { FileProto } from "../../descriptors/descriptor-proto.js";
import type { MethodType, Model } from "../../descriptors/model.js";
import type { Steps } from "../../net/pace.js";
import { closureOf, elementsOf, type ResolvedExtension } from "./closure.js";
import { pruneFile } from "./prune.js";

/** The methods of one model that callers may know of. */
export interface PublishedMethods {
  readonly model: Model;
  readonly methods: readonly MethodType[];
}

interface PublishedFile {
  readonly bytes: Uint8Array;
  readonly dependencies: readonly string[];
}

/** Files reduced to these methods and the types they need, and their look-up by name. */
export class PublishedFiles {
  /** Full names, sorted. */
  services: readonly string[] = [];
  readonly #files = new Map<string, PublishedFile>();
  /** The file of each full name: services, methods, messages, fields, enums, their values, extensions. */
  readonly #symbols = new Map<string, string>();
  readonly #extensions = new Map<string, Map<number, string>>();

  has(file: string): boolean {
    return this.#files.has(file);
  }

  ofSymbol(fullName: string): string | undefined {
    return this.#symbols.get(fullName);
  }

  /** The files of the extensions of a message by number; undefined where there is no such message. */
  extensionsOf(message: string): ReadonlyMap<number, string> | undefined {
    return this.#extensions.get(message);
  }

  /** A file, and those that it needs and that are not in `sent`, which they are from now on. */
  *withDependencies(name: string, sent: Set<string>): Generator<Uint8Array> {
    const required = new Set([name]);
    // Grows while it is walked.
    for (const each of required) {
      const file = this.#files.get(each);
      if (file === undefined) continue;
      for (const dependency of file.dependencies) required.add(dependency);
      if (each !== name && sent.has(each)) continue;
      sent.add(each);
      yield file.bytes;
    }
  }

  /** @param symbols full names in the file that are not those of extensions */
  add(
    name: string,
    file: PublishedFile,
    symbols: readonly string[],
    messages: readonly string[],
    extensions: readonly ResolvedExtension[],
  ): void {
    this.#files.set(name, file);
    for (const symbol of symbols) this.#symbols.set(symbol, name);
    for (const message of messages) this.#extensionsFor(message);
    for (const { fullName, extendee, proto } of extensions) {
      this.#symbols.set(fullName, name);
      this.#extensionsFor(extendee).set(proto.number, name);
    }
  }

  #extensionsFor(message: string): Map<number, string> {
    let known = this.#extensions.get(message);
    if (known === undefined) {
      known = new Map();
      this.#extensions.set(message, known);
    }
    return known;
  }
}

/** The files of all these methods. Files of other models with a name that is taken are left out. */
export function* publishFiles(all: readonly PublishedMethods[]): Steps<PublishedFiles> {
  const published = new PublishedFiles();
  const services = new Set<string>();
  for (const { model, methods } of all) {
    for (const { service } of methods) services.add(service.fullName);
    yield* publish(published, model, methods);
  }
  published.services = [...services].sort();
  return published;
}

function* publish(published: PublishedFiles, model: Model, methods: readonly MethodType[]): Steps {
  const files: FileProto[] = [];
  const needed = dependenciesOf(
    model,
    methods.map(({ service }) => service.file.name),
  );
  for (const bytes of yield* model.serialize(needed)) files.push(yield* decodeFileInSteps(bytes));
  const elements = yield* elementsOf(files);
  const kept = yield* closureOf(elements, methods);
  const paths = new Set(methods.map(({ path }) => path));
  for (const file of files) {
    const pruned = pruneFile(file, kept, paths);
    if (pruned === undefined || published.has(file.name)) continue;
    published.add(
      file.name,
      { bytes: pruned.bytes, dependencies: pruned.dependencies },
      pruned.symbols,
      pruned.messages,
      kept.extensions.filter(extension => extension.file === file),
    );
    yield 1 + pruned.bytes.length / 20;
  }
}

/** The names of these files and of all that they import. */
function dependenciesOf(model: Model, names: readonly string[]): Set<string> {
  const found = new Set(names);
  // Grows while it is walked.
  for (const name of found)
    for (const dependency of model.files.get(name)?.dependencies ?? []) found.add(dependency);
  return found;
}
