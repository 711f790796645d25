import { excerpt } from "../codec/error.js";
import { createObject, describeJson, type JsonObject, type JsonValue } from "../codec/json.js";
import { jsonMembers } from "../codec/json-members.js";
import { nearest } from "../config/nearest.js";
import { type GatewayError, gatewayError } from "../status/failure.js";
import { parseJsonObject } from "./json-body.js";

/**
 * The fields of a JSON body of a route that the gateway serves itself, each read with its type. An empty body is an empty
 * object, and `null` counts as absent. All methods throw GatewayError INVALID_VALUE, naming the field.
 */
export class JsonFields {
  readonly #json: JsonObject;
  readonly #body: Uint8Array;

  /**
   * @param known names of the fields that the route takes
   * @throws GatewayError UNKNOWN_FIELD for any other, and as `parseJsonObject` does
   */
  constructor(body: Uint8Array, known: readonly string[]) {
    this.#body = body;
    this.#json = body.length === 0 ? createObject() : parseJsonObject(body);
    for (const name of Object.keys(this.#json)) if (!known.includes(name)) throw unknownField(name, known);
  }

  /** Of any type. */
  value(name: string): JsonValue | undefined {
    return this.#json[name] ?? undefined;
  }

  /** The JSON text of the value as it was sent, with all digits of numbers; `null` too. */
  source(name: string): string | undefined {
    return this.#json[name] === undefined
      ? undefined
      : jsonMembers(Buffer.from(this.#body).toString()).get(name);
  }

  /** May be empty. */
  text(name: string): string {
    return required(name, this.optionalText(name));
  }

  optionalText(name: string): string | undefined {
    return this.#read(name, "a string", value => (typeof value === "string" ? value : undefined));
  }

  texts(name: string): readonly string[] {
    return required(name, this.optionalTexts(name));
  }

  optionalTexts(name: string): string[] | undefined {
    return this.#read(name, "a list of strings", value =>
      Array.isArray(value) && value.every(item => typeof item === "string") ? value : undefined,
    );
  }

  flag(name: string): boolean | undefined {
    return this.#read(name, "true or false", value => (typeof value === "boolean" ? value : undefined));
  }

  /** @param max undefined: any integer that a double holds exactly */
  integer(name: string, min: number, max?: number): number | undefined {
    const expected = `an integer from ${min}${max === undefined ? "" : ` to ${max}`}`;
    const { MAX_SAFE_INTEGER } = Number;
    return this.#read(name, expected, value =>
      typeof value === "number" &&
      Number.isInteger(value) &&
      value >= min &&
      value <= (max ?? MAX_SAFE_INTEGER)
        ? value
        : undefined,
    );
  }

  #read<T>(name: string, expected: string, as: (value: JsonValue) => T | undefined): T | undefined {
    const value = this.value(name);
    if (value === undefined) return undefined;
    const read = as(value);
    if (read === undefined) throw unexpectedField(name, expected, value);
    return read;
  }
}

/** INVALID_VALUE for a field, to be thrown: its name is in the message and in the details. */
export function invalidField(name: string, description: string): GatewayError {
  return gatewayError("INVALID_VALUE", `${name}: ${description}`, [{ field: name, description }]);
}

/** INVALID_VALUE with what was expected and what was found, to be thrown. */
export function unexpectedField(name: string, expected: string, found: JsonValue): GatewayError {
  return invalidField(name, `expected ${expected}, found ${describeJson(found)}`);
}

function required<T>(name: string, value: T | undefined): T {
  if (value !== undefined) return value;
  const description = "not provided";
  throw gatewayError("INVALID_VALUE", `${name} ${description}`, [{ field: name, description }]);
}

function unknownField(name: string, known: readonly string[]): GatewayError {
  const near = nearest(name, known);
  const others = known.length === 0 ? "no fields" : known.join(", ");
  const hint = near === undefined ? `expected ${others}` : `did you mean "${near}"?`;
  const field = excerpt(name);
  const description = `unknown field; ${hint}`;
  return gatewayError("UNKNOWN_FIELD", `${field}: ${description}`, [{ field, description }]);
}
