import type { DetailRenderer } from "../bindings/binding.js";
import { createCodecs } from "../codec/codecs.js";
import { loadModel } from "../descriptors/load/load.js";
import type {
  EnumType,
  Field,
  FileDescriptor,
  MessageType,
  Model,
  ServiceType,
} from "../descriptors/model.js";
import type { Steps } from "../net/pace.js";
import { createPace } from "../net/pace.js";
import type { AnyValue } from "../status/details.js";
import type { Channel } from "../upstream/channel.js";
import { fetchSymbols } from "../upstream/reflection/reflection.js";
import { ReflectionEnded } from "../upstream/reflection/session.js";

/** Milliseconds that one response waits for types, at most. */
const maxWait = 200;
/** Milliseconds that one fetch may take; responses after the first wait do without. */
const fetchTimeout = 5_000;
/** Milliseconds without fetches after one has failed in a way that may pass. */
const pause = 30_000;
/** Most names that are requested, found or not. */
const maxNames = 256;
const maxNameLength = 512;
/** Most that all fetches may bring. */
const maxFiles = 1_000;
const maxBytes = 4 * 1024 * 1024;

const typeName = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/;

export interface ErrorDetailsOptions {
  /** Name of the upstream, for messages. */
  readonly upstream: string;
  readonly channel: Channel;
  /** Ends all fetches under way. */
  readonly signal: AbortSignal;
  /** Most levels of nested JSON. */
  readonly depth: number;
}

interface Fetch {
  /** Never rejects. */
  readonly done: Promise<void>;
  /** On the clock of `performance.now`: when responses no longer wait. */
  readonly until: number;
}

/**
 * Renders the error details of an upstream whose descriptors come by reflection. The services rarely import the types
 * of their details, so those are fetched by name when an error first contains them. One fetch runs at a time, and the
 * requests and the memory that an upstream can cause are bounded.
 */
export class ErrorDetails implements DetailRenderer {
  readonly #options: ErrorDetailsOptions;
  readonly #model: ExtendedModel;
  /** By type name. Names that were requested without result have undefined. */
  readonly #requested = new Map<string, Fetch | undefined>();
  #last: Promise<void> = Promise.resolve();
  #pausedUntil = 0;
  #files = 0;
  #bytes = 0;

  constructor(model: Model, options: ErrorDetailsOptions) {
    this.#model = new ExtendedModel(model);
    this.#options = options;
  }

  render(
    details: readonly AnyValue[],
    names: "json" | "proto",
  ): readonly string[] | Promise<readonly string[]> {
    const texts = this.#print(details, names);
    const fetches = this.#fetches();
    return fetches.length === 0 ? texts : this.#renderLater(details, names, texts, fetches);
  }

  async #renderLater(
    details: readonly AnyValue[],
    names: "json" | "proto",
    first: readonly string[],
    firstFetches: readonly Fetch[],
  ): Promise<readonly string[]> {
    const deadline = performance.now() + maxWait;
    let texts = first;
    // A type that was found may hold an Any of a type that is missing, too.
    for (let fetches = firstFetches; fetches.length > 0; fetches = this.#fetches()) {
      const until = Math.min(deadline, ...fetches.map(each => each.until));
      if (!(await settled(fetches, until - performance.now()))) break;
      texts = this.#print(details, names);
    }
    return texts;
  }

  #print(details: readonly AnyValue[], names: "json" | "proto"): string[] {
    this.#model.missing.clear();
    const { depth } = this.#options;
    const codecs = createCodecs(this.#model, {
      enums: "name",
      int64: "string",
      emitDefaults: false,
      names,
      unknownFields: "ignore",
      depth,
    });
    return details.map(({ typeUrl, value }) => codecs.renderAny(typeUrl, value));
  }

  /** The fetches after which the types that the last printing missed may be known. */
  #fetches(): Fetch[] {
    const now = performance.now();
    const missing = [...this.#model.missing];
    const room = maxNames - this.#requested.size;
    const unknown =
      now < this.#pausedUntil ? [] : missing.filter(name => this.#isRequestable(name)).slice(0, room);
    if (unknown.length > 0) {
      this.#last = this.#last.then(() => this.#fetch(unknown));
      const fetch = { done: this.#last, until: now + maxWait };
      for (const name of unknown) this.#requested.set(name, fetch);
    }
    const fetches = missing.map(name => this.#requested.get(name));
    return [...new Set(fetches)].filter(fetch => fetch !== undefined && fetch.until > now) as Fetch[];
  }

  #isRequestable(name: string): boolean {
    return name.length <= maxNameLength && !this.#requested.has(name) && typeName.test(name);
  }

  /** Never rejects. */
  async #fetch(names: readonly string[]): Promise<void> {
    // Fetches that waited behind one that has failed meanwhile are given up with it.
    const later = performance.now() < this.#pausedUntil || !(await this.#addTypes(names));
    for (const name of names) {
      if (later) this.#requested.delete(name);
      else this.#requested.set(name, undefined);
    }
  }

  /** @returns false where another attempt may succeed */
  async #addTypes(names: readonly string[]): Promise<boolean> {
    const { upstream, channel, signal } = this.#options;
    const limits = { files: maxFiles - this.#files, bytes: maxBytes - this.#bytes };
    try {
      const files = await fetchSymbols(channel, names, limits, { timeout: fetchTimeout, signal });
      if (files.length === 0) return true;
      this.#files += files.length;
      for (const file of files) this.#bytes += file.length;
      const origin = `reflection of upstream "${upstream}"`;
      const { model } = await loadModel([{ kind: "files", origin, files }], createPace(), undefined, false);
      for (const name of names) this.#model.add(model.message(name));
      return true;
    } catch (error) {
      if (!(error instanceof Error && error.cause instanceof ReflectionEnded)) return true;
      this.#pausedUntil = performance.now() + pause;
      return false;
    }
  }
}

/** @returns false where the time, in milliseconds, ran out before */
async function settled(fetches: readonly Fetch[], time: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<false>(resolve => {
    timer = setTimeout(resolve, time, false);
  });
  try {
    return await Promise.race([Promise.all(fetches.map(({ done }) => done)).then(() => true), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** A model with further message types, which notes the names of those that it lacks. */
class ExtendedModel implements Model {
  /** Full names that were looked up in vain. */
  readonly missing = new Set<string>();
  readonly #base: Model;
  readonly #added = new Map<string, MessageType>();

  constructor(base: Model) {
    this.#base = base;
  }

  add(type: MessageType | undefined): void {
    if (type !== undefined) this.#added.set(type.fullName, type);
  }

  message(fullName: string): MessageType | undefined {
    const found = this.#base.message(fullName) ?? this.#added.get(fullName);
    if (found === undefined) this.missing.add(fullName);
    return found;
  }

  get files(): ReadonlyMap<string, FileDescriptor> {
    return this.#base.files;
  }

  get services(): ReadonlyMap<string, ServiceType> {
    return this.#base.services;
  }

  enum(fullName: string): EnumType | undefined {
    return this.#base.enum(fullName);
  }

  extension(extendee: string, number: number): Field | undefined {
    return this.#base.extension(extendee, number);
  }

  extensionByName(fullName: string): Field | undefined {
    return this.#base.extensionByName(fullName);
  }

  serialize(names: ReadonlySet<string>): Steps<Uint8Array[]> {
    return this.#base.serialize(names);
  }

  descriptorSet(): Uint8Array {
    return this.#base.descriptorSet();
  }
}
