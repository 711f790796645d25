import { nearest } from "../../config/nearest.js";
import type { MessageType } from "../../descriptors/model.js";
import { isRecord } from "../claims.js";
import type { Identity } from "../identity.js";
import type { Operand } from "./comparison.js";
import { equal, within } from "./comparison.js";
import { type Expression, ExpressionError, type Reference } from "./expression.js";
import { requestOperand, requestPresence } from "./request-field.js";
import { and, type Condition, not, or } from "./truth.js";

/** The parts of rooms' names that the configuration names. */
export interface RoomParts {
  readonly names: ReadonlySet<string>;
  /** Undefined where the name of the room has no such part. */
  part(room: string, name: string): string | undefined;
}

/** The scope in which a rule is evaluated: the meaning of its names. */
export interface RuleScope {
  /** Type of the request; undefined where there is none. */
  readonly input: MessageType | undefined;
  /** True for realtime rooms, where there is a `room`. */
  readonly room: boolean;
  readonly parts?: RoomParts | undefined;
}

/** Checks a rule against the types of its scope. @throws ExpressionError */
export function compileRule(rule: Expression, scope: RuleScope): Condition {
  switch (rule.kind) {
    case "and":
      return and(compileRule(rule.left, scope), compileRule(rule.right, scope));
    case "or":
      return or(compileRule(rule.left, scope), compileRule(rule.right, scope));
    case "not":
      return not(compileRule(rule.operand, scope));
    case "equal":
      return equal(operandOf(rule.left, scope), operandOf(rule.right, scope));
    case "in":
      return within(operandOf(rule.left, scope), operandOf(rule.right, scope));
    case "has":
      return presence(rule.reference, scope);
    default:
      return isTrue(operandOf(rule, scope));
  }
}

/** The conditions of which all must hold, so that each can be decided as soon as it can be. */
export function conjuncts(rule: Expression): readonly Expression[] {
  return rule.kind === "and" ? [...conjuncts(rule.left), ...conjuncts(rule.right)] : [rule];
}

/** An operand without a comparison: a claim or a field that is true. */
function isTrue(operand: Operand): Condition {
  const { type } = operand;
  if (type.kind !== "boolean" && type.kind !== "claim") {
    throw new ExpressionError(
      `expected a condition, found ${operand.shown}; compare it with something`,
      operand.column,
    );
  }
  const { needsMessage, needsIdentity, literal } = operand;
  return {
    needsMessage,
    anonymous: literal !== false && !needsIdentity,
    refusable: literal !== true && !needsIdentity,
    test: input => {
      const value = operand.read(input);
      return typeof value === "boolean" ? value : undefined;
    },
  };
}

function presence(reference: Reference, scope: RuleScope): Condition {
  if (reference.root === "request") return requestPresence(reference, inputOf(reference, scope));
  if (reference.root !== "claim") {
    throw new ExpressionError("has() takes a field of the request or a claim", reference.column);
  }
  const names = reference.steps.map(step => step.name);
  return {
    needsMessage: false,
    anonymous: false,
    refusable: false,
    test: ({ identity }) => {
      const claim = identity === undefined ? undefined : claimAt(identity, names);
      return identity === undefined ? undefined : claim !== undefined && claim !== null;
    },
  };
}

function operandOf(expression: Expression, scope: RuleScope): Operand {
  const { column } = expression;
  const constant = { column, needsMessage: false, needsIdentity: false };
  switch (expression.kind) {
    case "text":
    case "integer":
    case "boolean": {
      const { kind, value } = expression;
      const shown = kind === "text" ? JSON.stringify(value) : String(value);
      return { ...constant, type: { kind }, shown, literal: value, read: () => value };
    }
    case "list": {
      const items = expression.items.map(item => operandOf(item, scope));
      const nested = items.find(item => item.type.kind === "list");
      if (nested !== undefined) throw new ExpressionError("a list holds no other list", nested.column);
      return {
        column,
        needsMessage: items.some(item => item.needsMessage),
        needsIdentity: items.some(item => item.needsIdentity),
        // Compared item by item, each by its own type.
        type: { kind: "list", element: { kind: "claim" } },
        shown: "the list",
        items,
        read: input => items.map(item => item.read(input)),
      };
    }
    case "reference":
      return referenceOperand(expression, scope);
    default:
      throw new ExpressionError("expected a value, found a condition", column);
  }
}

const roots = ["claim", "subject", "scopes", "provider", "request", "room"] as const;

function referenceOperand(reference: Reference, scope: RuleScope): Operand {
  const { root, steps, column } = reference;
  if (root === "request") return requestOperand(reference, inputOf(reference, scope));
  const known = { shown: root, column, needsMessage: false, needsIdentity: true };
  if (root === "claim") {
    const names = steps.map(step => step.name);
    if (names.length === 0) throw new ExpressionError("expected a claim, such as claim.sub", column);
    const read: Operand["read"] = ({ identity }) => identity && claimAt(identity, names);
    return { ...known, shown: `claim ${names.join(".")}`, type: { kind: "claim" }, read };
  }
  if (root === "room" && scope.room && steps[0] !== undefined) return partOperand(reference, scope);
  if (steps[0] !== undefined) {
    const near = roots.includes(root as (typeof roots)[number]) ? undefined : nearest(root, roots);
    throw new ExpressionError(`"${root}" has no fields; only claim and request do`, column, near);
  }
  switch (root) {
    // A subject may be compared as a number, as claims may.
    case "subject":
      return { ...known, type: { kind: "claim" }, read: ({ identity }) => identity?.subject };
    case "provider":
      return { ...known, type: { kind: "text" }, read: ({ identity }) => identity?.provider };
    case "scopes":
      return {
        ...known,
        type: { kind: "list", element: { kind: "text" } },
        read: ({ identity }) => identity && [...identity.scopes],
      };
    case "room":
      if (scope.room) {
        return { ...known, needsIdentity: false, type: { kind: "text" }, read: ({ room }) => room };
      }
      throw new ExpressionError(
        'there is no room here; "room" is known to policies that match rooms',
        column,
      );
    default:
      throw new ExpressionError(
        `there is no "${root}"; expected one of ${roots.join(", ")}, or a text in quotes`,
        column,
        nearest(root, roots),
      );
  }
}

/** `room.user`: a part of the room's name. */
function partOperand({ steps, column }: Reference, { parts }: RuleScope): Operand {
  const name = steps.map(step => step.name).join(".");
  if (parts?.names.has(name) !== true) {
    const names = [...(parts?.names ?? [])];
    const expected = names.length === 0 ? "" : `; expected one of ${names.join(", ")}`;
    const message = `no entry of realtime.rooms has a part "${name}" in its match${expected}`;
    throw new ExpressionError(message, column, nearest(name, names));
  }
  const read: Operand["read"] = ({ room }) => parts.part(room, name);
  const known = { column, needsMessage: false, needsIdentity: false };
  return { ...known, shown: `room.${name}`, type: { kind: "text" }, read };
}

function inputOf({ column }: Reference, { input, room }: RuleScope): MessageType {
  if (input !== undefined) return input;
  const why = room ? "a room has no RPC request" : "the gateway serves this route itself, without an RPC";
  throw new ExpressionError(`there is no "request": ${why}`, column);
}

/** Undefined where there is none; looks at nothing that claims inherit. */
function claimAt({ claims }: Identity, names: readonly string[]): unknown {
  let value: unknown = claims;
  for (const name of names) {
    if (!isRecord(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}
