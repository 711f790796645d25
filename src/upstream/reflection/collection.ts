import { decodeFileInSteps } from "../../descriptors/descriptor-codec.js";
import type { FieldProto, FileProto, MessageProto } from "../../descriptors/descriptor-proto.js";
import { createPace, inTurns, type Steps } from "../../net/pace.js";
import { codeName } from "../../status/code.js";
import type { ReflectionSession } from "./session.js";
import { decodeFileHead, type ReflectionRequest } from "./session.js";

/** All descriptors that an upstream reflects. */
export interface ReflectedDescriptors {
  /** Serialized FileDescriptorProtos, one a file name, sorted by it. */
  readonly files: readonly Uint8Array[];
  /** Full names of the services, sorted. */
  readonly services: readonly string[];
}

/** Options that custom annotations extend: files that declare those are found only by requesting their extensions. */
const extendedTypes = ["google.protobuf.MethodOptions", "google.protobuf.ServiceOptions"];

/** Most that an upstream may reflect. */
export interface ReflectionLimits {
  readonly files: number;
  /** Of serialized descriptors. */
  readonly bytes: number;
}

const wholeUpstream: ReflectionLimits = { files: 10_000, bytes: 64 * 1024 * 1024 };

/** Gathers all files of an upstream over one session. */
export class ReflectionCollection {
  readonly #session: ReflectionSession;
  readonly #files = new Map<string, Uint8Array>();
  /** Names of files that were requested, found or not. */
  readonly #requested = new Set<string>();
  readonly #imported = new Set<string>();
  readonly #limits: ReflectionLimits;
  #bytes = 0;

  constructor(session: ReflectionSession, limits = wholeUpstream) {
    this.#session = session;
    this.#limits = limits;
  }

  async collect(): Promise<ReflectedDescriptors> {
    const services = await this.#services();
    await this.#request(services.map(symbol => ({ kind: "symbol", symbol })));
    if (services.length > 0 && this.#files.size === 0) {
      throw new Error("the upstream lists services, but gives the file of none of them");
    }
    await this.#request(await this.#extensions());
    await this.#imports();
    await this.#missingTypes();
    return { files: this.#sorted(), services: [...services].sort() };
  }

  /** The files that define these symbols, and all that those import. Symbols that the upstream lacks bring none. */
  async collectSymbols(symbols: readonly string[]): Promise<readonly Uint8Array[]> {
    await this.#request(symbols.map(symbol => ({ kind: "symbol", symbol })));
    await this.#imports();
    await this.#missingTypes();
    return this.#sorted();
  }

  #sorted(): readonly Uint8Array[] {
    return [...this.#files.keys()].sort().map(name => this.#files.get(name)!);
  }

  async #services(): Promise<readonly string[]> {
    const [response] = await this.#session.request([{ kind: "services" }]);
    if (response?.kind === "services") return response.services;
    const why =
      response?.kind === "error" ? `${codeName(response.code)}: ${response.message}` : "no list came";
    throw new Error(`the upstream does not list its services: ${why}`);
  }

  async #extensions(): Promise<ReflectionRequest[]> {
    const responses = await this.#session.request(extendedTypes.map(type => ({ kind: "extensions", type })));
    return responses.flatMap((response, index) => {
      const type = extendedTypes[index]!;
      if (response.kind !== "extensions") return [];
      return response.numbers
        .slice(0, this.#limits.files)
        .map(number => ({ kind: "extension" as const, type, number }));
    });
  }

  async #imports(): Promise<void> {
    for (;;) {
      const missing = [...this.#imported].filter(
        name => !this.#files.has(name) && !this.#requested.has(name),
      );
      if (missing.length === 0) return;
      for (const name of missing) this.#requested.add(name);
      await this.#request(missing.map(name => ({ kind: "file", name })));
    }
  }

  /**
   * Requests by symbol the types that files use and no received file declares: some servers know a file by another name
   * than the files that import it.
   */
  async #missingTypes(): Promise<void> {
    const requested = new Set<string>();
    while ([...this.#requested].some(name => !this.#files.has(name))) {
      const undefinedNames = await inTurns(createPace(), undefinedTypes([...this.#files.values()]));
      const missing = undefinedNames.filter(symbol => !requested.has(symbol));
      if (missing.length === 0) return;
      for (const symbol of missing) requested.add(symbol);
      await this.#request(missing.map(symbol => ({ kind: "symbol", symbol })));
      await this.#imports();
    }
  }

  /** Keeps the files of the responses; a request that fails brings none. */
  async #request(requests: readonly ReflectionRequest[]): Promise<void> {
    for (const response of await this.#session.request(requests)) {
      if (response.kind === "files") for (const file of response.files) this.#keep(file);
    }
  }

  #keep(file: Uint8Array): void {
    const { name, dependencies } = decodeFileHead(file);
    if (this.#files.has(name)) return;
    this.#bytes += file.length;
    const { files, bytes } = this.#limits;
    if (this.#files.size >= files || this.#bytes > bytes) {
      throw new Error(`the upstream reflects more than ${files} files or ${bytes} bytes of descriptors`);
    }
    this.#files.set(name, file);
    for (const dependency of dependencies) this.#imported.add(dependency);
  }
}

/**
 * Full names of the types that some of these files use and none defines, sorted. Files that cannot be read count for
 * nothing: loading reports them.
 * @param files serialized FileDescriptorProtos
 */
function* undefinedTypes(files: readonly Uint8Array[]): Steps<string[]> {
  const defined = new Set<string>();
  const used = new Set<string>();
  const use = (name = "") => {
    // Relative names cannot be requested.
    if (name.startsWith(".")) used.add(name.slice(1));
  };
  const useAll = (fields: readonly FieldProto[]) => {
    for (const { typeName, extendee } of fields) {
      use(typeName);
      use(extendee);
    }
  };
  const define = function* (
    scope: string,
    { name, field, extension, nestedType, enumType }: MessageProto,
  ): Steps {
    yield (field.length + enumType.length) / 10;
    const own = qualified(scope, name);
    defined.add(own);
    for (const each of enumType) defined.add(qualified(own, each.name));
    useAll(field);
    useAll(extension);
    for (const nested of nestedType) yield* define(own, nested);
  };
  for (const bytes of files) {
    const file = yield* read(bytes);
    if (file === undefined) continue;
    for (const each of file.enumType) defined.add(qualified(file.package, each.name));
    for (const message of file.messageType) yield* define(file.package, message);
    useAll(file.extension);
    for (const { method } of file.service) {
      yield method.length / 10;
      for (const { inputType, outputType } of method) {
        use(inputType);
        use(outputType);
      }
    }
  }
  return [...used].filter(name => !defined.has(name)).sort();
}

function* read(bytes: Uint8Array): Steps<FileProto | undefined> {
  try {
    return yield* decodeFileInSteps(bytes);
  } catch {
    return undefined;
  }
}

function qualified(scope: string, name: string): string {
  return scope === "" ? name : `${scope}.${name}`;
}
