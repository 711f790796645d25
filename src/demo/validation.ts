import { badRequest, type InvalidField } from "./rpc-error.js";

/** Collects the errors of a request, so that its sender gets all of them at once. */
export class Validation {
  readonly #violations: InvalidField[] = [];

  /** Requires a text of at least one character that is not white space and at most `most` UTF-16 units. */
  text(field: string, value: string, most: number): this {
    if (value.trim() === "") return this.fail(field, "must not be empty");
    return this.optionalText(field, value, most);
  }

  /** Requires at most `most` UTF-16 units. */
  optionalText(field: string, value: string, most: number): this {
    if (value.length > most) this.fail(field, `must have at most ${most} characters, has ${value.length}`);
    return this;
  }

  /** Requires 0 to `most`. */
  count(field: string, value: number, most: number): this {
    if (value < 0 || value > most) this.fail(field, `must be 0 to ${most}, is ${value}`);
    return this;
  }

  fail(field: string, description: string): this {
    this.#violations.push({ field, description });
    return this;
  }

  /** @throws RpcError INVALID_ARGUMENT naming every field that failed */
  done(): void {
    if (this.#violations.length > 0) throw badRequest(this.#violations);
  }
}
