import { nearest } from "../../config/nearest.js";
import type { EnumType } from "../../descriptors/model.js";
import { integerOf } from "../claims.js";
import { ExpressionError } from "./expression.js";
import type { Condition, RuleInput, Truth } from "./truth.js";

/** The type of an operand's values, as known at load. */
export type Type =
  | { readonly kind: "text" | "integer" | "boolean" }
  | { readonly kind: "enum"; readonly enum: EnumType }
  /** A JSON value of any kind. */
  | { readonly kind: "claim" }
  | { readonly kind: "list"; readonly element: Type };

/** A value: string, bigint, boolean, the number of an enum's value, a JSON value of a claim, or a list of them. */
export interface Operand {
  readonly type: Type;
  /** For people: `request.user_id (int64 user_id)`. */
  readonly shown: string;
  readonly column: number;
  readonly needsMessage: boolean;
  readonly needsIdentity: boolean;
  /** Set exactly for literals. */
  readonly literal?: string | bigint | boolean;
  /** Set for lists in brackets. */
  readonly items?: readonly Operand[];
  /** Undefined where there is no value to compare with. */
  read(input: RuleInput): unknown;
}

type Equality = (left: unknown, right: unknown) => Truth;

/** `left == right`. @throws ExpressionError where the two can never be compared */
export function equal(left: Operand, right: Operand): Condition {
  const same = equality(left, right);
  return condition(left, right, input => same(left.read(input), right.read(input)));
}

/** `left in right`. @throws ExpressionError where the two can never be compared */
export function within(left: Operand, right: Operand): Condition {
  if (right.items !== undefined) {
    const comparisons = right.items.map(item => ({ item, same: equality(left, item) }));
    return condition(left, right, input => {
      const value = left.read(input);
      return anyOf(comparisons, ({ item, same }) => same(value, item.read(input)), isUnknown(left, value));
    });
  }
  if (right.type.kind !== "list" && right.type.kind !== "claim") {
    throw new ExpressionError(
      `expected a list after "in", found ${right.shown}; use "==" to compare`,
      right.column,
    );
  }
  const element: Type = right.type.kind === "list" ? right.type.element : right.type;
  const same = equality(left, { ...right, type: element });
  return condition(left, right, input => {
    const value = left.read(input);
    const list = right.read(input);
    return Array.isArray(list) ? anyOf(list, item => same(value, item), isUnknown(left, value)) : undefined;
  });
}

function condition(left: Operand, right: Operand, test: Condition["test"]): Condition {
  const needsIdentity = left.needsIdentity || right.needsIdentity;
  return {
    needsMessage: left.needsMessage || right.needsMessage,
    anonymous: !needsIdentity,
    refusable: !needsIdentity,
    test,
  };
}

/** Kleene's "or" over a list; of an empty list it is false, unless the operand is unknown. */
function anyOf<T>(items: readonly T[], test: (item: T) => Truth, unknown: boolean): Truth {
  let truth: Truth = unknown ? undefined : false;
  for (const item of items) {
    const one = test(item);
    if (one === true) return true;
    if (one === undefined) truth = undefined;
  }
  return truth;
}

/** How values of two operands are compared. @throws ExpressionError */
function equality(left: Operand, right: Operand): Equality {
  for (const side of [left, right]) {
    if (side.type.kind === "list") {
      throw new ExpressionError(`${side.shown} is a list; use "in" to look for a value in it`, side.column);
    }
  }
  if (left.type.kind === "enum") return enumEquality(left.type.enum, right);
  if (right.type.kind === "enum") return swapped(enumEquality(right.type.enum, left));
  if (left.type.kind === "claim") {
    return right.type.kind === "claim" ? sameClaims : converted(right.type.kind);
  }
  if (right.type.kind === "claim") return swapped(converted(left.type.kind));
  if (left.type.kind !== right.type.kind) throw mismatch(left, right);
  return (one, two) => (one === undefined || two === undefined ? undefined : one === two);
}

function enumEquality(type: EnumType, other: Operand): Equality {
  const { literal } = other;
  if (typeof literal === "string") {
    const number = type.valuesByName.get(literal)?.number;
    if (number === undefined) {
      const near = nearest(literal, type.valuesByName.keys());
      throw new ExpressionError(`${type.fullName} has no value "${literal}"`, other.column, near);
    }
    return value => (value === undefined ? undefined : value === number);
  }
  if (other.type.kind === "claim") {
    return (value, claim) => {
      const named = typeof claim === "string" ? type.valuesByName.get(claim)?.number : undefined;
      const number = named === undefined ? integerOf(claim) : BigInt(named);
      return value === undefined || number === undefined ? undefined : BigInt(value as number) === number;
    };
  }
  if (other.type.kind === "integer") {
    return (value, number) =>
      value === undefined || number === undefined ? undefined : BigInt(value as number) === number;
  }
  if (other.type.kind === "enum" && other.type.enum.fullName === type.fullName) {
    return (one, two) => (one === undefined || two === undefined ? undefined : one === two);
  }
  throw new ExpressionError(
    `${other.shown} cannot be compared with a value of ${type.fullName}`,
    other.column,
  );
}

/**
 * A claim against a value of a known type. Whole numbers and their decimal text are the same, as in ProtoJSON, so that
 * a `sub`, which is always a text, can be compared with an int64.
 */
function converted(kind: "text" | "integer" | "boolean" | "list"): Equality {
  const convert = kind === "text" ? claimText : kind === "integer" ? claimInteger : claimBoolean;
  return (claim, value) => {
    const known = convert(claim);
    return known === undefined || value === undefined ? undefined : known === value;
  };
}

function claimText(claim: unknown): string | undefined {
  return typeof claim === "string" ? claim : integerOf(claim)?.toString();
}

const decimal = /^(0|-?[1-9]\d{0,19})$/;

function claimInteger(claim: unknown): bigint | undefined {
  if (typeof claim === "string") return decimal.test(claim) ? BigInt(claim) : undefined;
  return integerOf(claim);
}

function claimBoolean(claim: unknown): boolean | undefined {
  return typeof claim === "boolean" ? claim : undefined;
}

/** Claims are equal where they are of one kind and have one value. */
export function sameClaims(left: unknown, right: unknown): Truth {
  const number = integerOf(left);
  if (number !== undefined) {
    const other = integerOf(right);
    return other === undefined ? undefined : number === other;
  }
  if (!isComparable(left) || !isComparable(right) || typeof left !== typeof right) return undefined;
  return left === right;
}

function isUnknown({ type }: Operand, value: unknown): boolean {
  return type.kind === "claim" ? !isComparable(value) : value === undefined;
}

function isComparable(claim: unknown): boolean {
  return typeof claim === "string" || typeof claim === "boolean" || integerOf(claim) !== undefined;
}

function swapped(same: Equality): Equality {
  return (left, right) => same(right, left);
}

function mismatch(left: Operand, right: Operand): ExpressionError {
  return new ExpressionError(`${left.shown} cannot be compared with ${right.shown}`, right.column);
}
