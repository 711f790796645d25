import type {
  EnumType,
  Field,
  FileDescriptor,
  MessageType,
  Model,
  ServiceType,
} from "../descriptors/model.js";
import type { Steps } from "../net/pace.js";

/** A model with further message types, which notes the names of those that it lacks. */
export class ExtendedModel implements Model {
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
