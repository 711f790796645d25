import type { Field, MessageType } from "../../descriptors/model.js";
import type { Codecs } from "../codecs.js";
import { TranscodeError } from "../error.js";
import type { JsonObject, JsonValue } from "../json.js";
import type { BodyTarget } from "./body-tree.js";
import { isSamePath, mapAt, setAt, valueAt } from "./field-tree.js";
import {
  eachParameter,
  gatherPart,
  type PartedParameter,
  type QueryTarget,
  resolveParameter,
} from "./query.js";
import { leafFromText, partedValue } from "./text-value.js";

/** How query parameters are treated that name no field. */
export interface QueryPolicy {
  readonly unknown: "reject" | "ignore";
  /** Names that are ignored, independent of `unknown`. */
  readonly ignore: ReadonlySet<string>;
}

/** How query parameters are read. */
export interface QuerySpec {
  readonly input: MessageType;
  readonly codecs: Codecs;
  /** The field path of each template variable, in the template's order. Leaves take text (`isTextBindable`). */
  readonly variables: readonly (readonly Field[])[];
  readonly body: BodyTarget;
  readonly query: QueryPolicy;
  /** True takes query parameters beside a body that is the whole message. */
  readonly queryBesideBody?: true;
}

/** `bound`: a template variable sets the same field. */
interface PlannedTarget extends QueryTarget {
  readonly bound: boolean;
}

/** Names of parameters that a plan remembers; there are endless ones where types nest or map keys are free. */
const maxKnownNames = 256;

/** @throws TranscodeError where the parameter gives another value than the path */
type RefuseDifference = (leaf: Field, bound: JsonValue, other: JsonValue, name: string) => void;

/** Turns query parameters into fields of the tree of one request. */
export class QueryPlan {
  readonly #spec: QuerySpec;
  readonly #refuseDifference: RefuseDifference;
  readonly #targets = new Map<string, PlannedTarget>();

  constructor(spec: QuerySpec, refuseDifference: RefuseDifference) {
    this.#spec = spec;
    this.#refuseDifference = refuseDifference;
  }

  /**
   * Sets the fields that the parameters name.
   * @param rawQuery without `?`, as it came
   * @throws TranscodeError naming the parameter
   */
  set(tree: JsonObject, rawQuery: string): void {
    const { query, body, input } = this.#spec;
    let parted: Map<string, PartedParameter<PlannedTarget>> | undefined;
    eachParameter(rawQuery, (name, text) => {
      if (query.ignore.size > 0 && query.ignore.has(name)) return;
      const target = this.#target(name);
      if (target === undefined) return;
      if (body.kind === "all" && this.#spec.queryBesideBody !== true) {
        throw new TranscodeError(
          "UNKNOWN_PARAMETER",
          name,
          "this route takes its whole request from the body; query parameters are not accepted",
        );
      }
      const { path, names, key, part } = target;
      const leaf = path[path.length - 1] as Field;
      if (body.kind === "field" && path[0] === body.field) {
        throw new TranscodeError("FIELD_COLLISION", name, `"${body.field.jsonName}" comes from the body`);
      }
      if (part !== undefined) {
        parted ??= new Map();
        if (!gatherPart(parted, name, target, part, fromText(part, text, name))) throw repeated(name, input);
        return;
      }
      if (leaf.map !== undefined && key !== undefined) {
        const entries = mapAt(tree, path, names);
        if (Object.hasOwn(entries, key)) throw repeated(name, input);
        entries[key] = fromText(leaf.map.value, text, name);
        return;
      }
      const value = fromText(leaf, text, name);
      if (leaf.repeated) {
        const list = valueAt(tree, path);
        if (Array.isArray(list)) list.push(value);
        else setAt(tree, path, [value], names);
        return;
      }
      this.#setParameter(tree, name, target, value, repeated);
    });
    if (parted === undefined) return;
    for (const { name, target, parts } of parted.values()) {
      const type = (target.path[target.path.length - 1] as Field).message as MessageType;
      this.#setParameter(tree, name, target, fromParts(type, parts, name), wholeAndParts);
    }
  }

  /** Sets a field that holds one value. */
  #setParameter(
    tree: JsonObject,
    name: string,
    { path, names, bound }: PlannedTarget,
    value: JsonValue,
    duplicate: (name: string, input: MessageType) => TranscodeError,
  ): void {
    const found = valueAt(tree, path);
    if (bound) {
      const leaf = path[path.length - 1] as Field;
      this.#refuseDifference(leaf, found as JsonValue, value, name);
      return;
    }
    // Neither path nor body has set this field, so that only a parameter can have.
    if (found !== undefined) throw duplicate(name, this.#spec.input);
    setAt(tree, path, value, names);
  }

  /** Undefined where the policy ignores the name, which it does only for names that are no field. */
  #target(name: string): PlannedTarget | undefined {
    const known = this.#targets.get(name);
    if (known !== undefined) return known;
    const { query, input, variables, codecs } = this.#spec;
    const resolution = resolveParameter(input, name, codecs.wrappers);
    if (resolution.kind === "target") {
      const { path } = resolution.target;
      const target = { ...resolution.target, bound: variables.some(variable => isSamePath(variable, path)) };
      if (this.#targets.size < maxKnownNames) this.#targets.set(name, target);
      return target;
    }
    if (resolution.kind === "unbindable") throw new TranscodeError("UNKNOWN_PARAMETER", name, resolution.why);
    if (query.unknown === "ignore") return undefined;
    const message = `${input.fullName} has no field for this parameter`;
    throw new TranscodeError("UNKNOWN_PARAMETER", name, message, resolution.suggest());
  }
}

export function fromText(leaf: Field, text: string, name: string): JsonValue {
  try {
    return leafFromText(leaf, text);
  } catch (error) {
    throw named(error, name);
  }
}

/** Adds the name of the parameter to an error. */
function named(error: unknown, name: string): unknown {
  if (!(error instanceof TranscodeError)) return error;
  return new TranscodeError(error.reason, name, error.message, error.suggestion);
}

function fromParts(type: MessageType, parts: ReadonlyMap<Field, JsonValue>, name: string): JsonValue {
  try {
    return partedValue(type, parts);
  } catch (error) {
    throw named(error, name);
  }
}

function repeated(name: string, input: MessageType): TranscodeError {
  return new TranscodeError(
    "REPEATED_PARAMETER",
    name,
    `this is not a list in ${input.fullName}; send it once`,
  );
}

function wholeAndParts(name: string): TranscodeError {
  const message = "the query gives this value as a whole and by its fields; send one of the two";
  return new TranscodeError("REPEATED_PARAMETER", name, message);
}
