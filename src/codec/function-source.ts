/**
 * The source of a generated function and the values that it refers to. Sources are made of our own templates, small
 * integers and `literal` texts; everything else is linked, so no name of a descriptor can become code.
 */
export class FunctionSource {
  readonly #lines: string[] = [];
  readonly #values: unknown[] = [];
  readonly #names = new Map<unknown, string>();

  add(...lines: string[]): void {
    this.#lines.push(...lines);
  }

  /** An identifier that means `value` in the source. */
  link(value: unknown): string {
    let name = this.#names.get(value);
    if (name === undefined) {
      name = `$${this.#values.length}`;
      this.#names.set(value, name);
      this.#values.push(value);
    }
    return name;
  }

  /** Compiles the source as the body of a function with these parameters. */
  compile<T>(...parameters: string[]): T {
    return this.#compile("function", parameters);
  }

  /** The same of a function that yields. */
  compileSteps<T>(...parameters: string[]): T {
    return this.#compile("function*", parameters);
  }

  #compile<T>(kind: "function" | "function*", parameters: readonly string[]): T {
    const links = this.#values.map((_, index) => `const $${index} = values[${index}];`).join(" ");
    const body = `"use strict"; ${links}\nreturn ${kind} (${parameters.join(", ")}) {\n${this.#lines.join("\n")}\n};`;
    return new Function("values", body)(this.#values) as T;
  }
}

/** How many levels of JSON may still open at a value of a field, and inside it where it is a list or a map. */
export interface Level {
  readonly value: string;
  readonly inside: string;
}

/** Members of an object, which is a level itself. */
export const objectLevel: Level = { value: "depth - 1", inside: "depth - 2" };

/** A value that stands alone. */
export const bareLevel: Level = { value: "depth", inside: "depth - 1" };

/** A JavaScript string literal. */
export function literal(text: string): string {
  return JSON.stringify(text);
}
