import { nearest } from "../../config/nearest.js";
import type { Field, MessageType } from "../../descriptors/model.js";
import type { Operand, Type } from "./comparison.js";
import { ExpressionError, type Reference } from "./expression.js";
import { type FieldValue, fieldReader, type PathStep } from "./field-path.js";
import type { Condition } from "./truth.js";

interface Resolved {
  readonly path: readonly PathStep[];
  readonly leaf: PathStep;
  /** The field itself, or the value of a map. */
  readonly field: Field;
}

/** `request.a.b` as a value. @throws ExpressionError where there is no such field or it cannot be compared */
export function requestOperand(reference: Reference, input: MessageType): Operand {
  const { path, leaf, field } = resolve(reference, input);
  const shown = shownAs(reference, field);
  const { column } = reference;
  if (field.map !== undefined) {
    throw new ExpressionError(`${shown} is a map; compare one entry, such as ["key"]`, column);
  }
  const element = typeOf(field);
  if (element === undefined) {
    const what = field.message === undefined ? `is of type ${field.kind}` : "is a message";
    const instead = field.message === undefined ? "" : "; compare one of its fields";
    throw new ExpressionError(`${shown} ${what} and cannot be compared${instead}`, column);
  }
  const read = fieldReader(path, leaf);
  const fallback: FieldValue = field.repeated ? [] : defaultOf(field);
  return {
    type: field.repeated ? { kind: "list", element } : element,
    shown,
    column,
    needsMessage: true,
    needsIdentity: false,
    read: ({ message }) => {
      const found = read(message);
      if (found.kind === "set") return found.value;
      return found.kind === "unset" ? fallback : undefined;
    },
  };
}

/**
 * `has(request.a.b)`: set, where the field knows that; else other than its default.
 * @throws ExpressionError where there is no such field
 */
export function requestPresence(reference: Reference, input: MessageType): Condition {
  const { path, leaf, field } = resolve(reference, input);
  const read = fieldReader(path, leaf);
  const entry = leaf.key !== undefined;
  const implicit = field.presence === "implicit" && !field.repeated && field.message === undefined;
  const fallback = implicit ? defaultOf(field) : undefined;
  return {
    needsMessage: true,
    anonymous: true,
    refusable: true,
    test: ({ message }) => {
      const found = read(message);
      return entry ? found.kind !== "nowhere" : found.kind === "set" && found.value !== fallback;
    },
  };
}

function resolve({ steps, column }: Reference, input: MessageType): Resolved {
  const path: PathStep[] = [];
  let message: MessageType | undefined = input;
  let resolved: Resolved | undefined;
  for (let index = 0; index < steps.length; index++) {
    const step = steps[index] as Reference["steps"][number];
    if (resolved !== undefined) path.push(resolved.leaf);
    if (message === undefined) {
      const held = resolved?.field;
      const what = held?.map !== undefined ? "a map" : held?.repeated ? "repeated" : `of type ${held?.kind}`;
      throw new ExpressionError(`"${held?.name}" is ${what} and has no field "${step.name}"`, step.column);
    }
    const field: Field | undefined = message.fieldsByName.get(step.name);
    if (field === undefined || step.quoted) {
      const near = nearest(
        step.name,
        message.fields.map(each => each.name),
      );
      throw new ExpressionError(`${message.fullName} has no field "${step.name}"`, step.column, near);
    }
    const entry = field.map !== undefined ? steps[index + 1] : undefined;
    if (field.map !== undefined && entry !== undefined) {
      if (field.map.key.kind !== "string") {
        throw new ExpressionError(
          `the keys of "${field.name}" are of type ${field.map.key.kind}; only maps with texts as keys can be read`,
          entry.column,
        );
      }
      if (!entry.quoted) {
        throw new ExpressionError(
          `"${field.name}" is a map; expected ["${entry.name}"], found .${entry.name}`,
          entry.column,
        );
      }
      resolved = { path, leaf: { field, key: entry.name }, field: field.map.value };
      message = field.map.value.message;
      index += 1;
    } else {
      resolved = { path, leaf: { field, key: undefined }, field };
      message = field.repeated ? undefined : field.message;
    }
  }
  if (resolved !== undefined) return resolved;
  throw new ExpressionError("expected a field, such as request.name", column);
}

/** Undefined where values of the field cannot be compared. */
function typeOf(field: Field): Type | undefined {
  switch (field.kind) {
    case "string":
      return { kind: "text" };
    case "bool":
      return { kind: "boolean" };
    case "enum":
      return field.enum && { kind: "enum", enum: field.enum };
    case "bytes":
    case "message":
    // Numbers that are equal for one reader need not be so for another.
    case "double":
    case "float":
      return undefined;
    default:
      return { kind: "integer" };
  }
}

/** The value of a field that is not set, as a parser reports it. */
function defaultOf({ kind, defaultText: text, enum: type }: Field): FieldValue {
  switch (kind) {
    case "string":
      return text ?? "";
    case "bool":
      return text === "true";
    case "enum":
      return (text === undefined ? type?.values[0] : type?.valuesByName.get(text))?.number ?? 0;
    default:
      return BigInt(text ?? 0);
  }
}

function shownAs({ root, steps }: Reference, field: Field): string {
  const path = steps.map(({ name, quoted }) => (quoted ? `[${JSON.stringify(name)}]` : `.${name}`)).join("");
  const type = field.message?.fullName ?? field.enum?.fullName ?? field.kind;
  return `${root}${path} (${field.repeated && field.map === undefined ? "repeated " : ""}${type})`;
}
