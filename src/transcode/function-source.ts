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
    const links = this.#values.map((_, index) => `const $${index} = values[${index}];`).join(" ");
    const body = `"use strict"; ${links}\nreturn function (${parameters.join(", ")}) {\n${this.#lines.join("\n")}\n};`;
    return new Function("values", body)(this.#values) as T;
  }
}

/** A JavaScript string literal. */
export function literal(text: string): string {
  return JSON.stringify(text);
}
