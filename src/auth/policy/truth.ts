import type { Identity } from "../identity.js";

/** The values that a rule is evaluated over. */
export interface RuleInput {
  readonly identity: Identity | undefined;
  /** The request as the backend gets it; empty where no rule needs it. */
  readonly message: Uint8Array;
  /** Empty where there is none. */
  readonly room: string;
}

/** True, false, or unknown. */
export type Truth = boolean | undefined;

/** A condition of a rule, ready to be evaluated. */
export interface Condition {
  /** True where it compares with fields of the request. */
  readonly needsMessage: boolean;
  /** False where it cannot become true for an unauthenticated caller. */
  readonly anonymous: boolean;
  /** False where it cannot become false for an unauthenticated caller. */
  readonly refusable: boolean;
  test(input: RuleInput): Truth;
}

export function and(left: Condition, right: Condition): Condition {
  return {
    needsMessage: left.needsMessage || right.needsMessage,
    anonymous: left.anonymous && right.anonymous,
    refusable: left.refusable || right.refusable,
    test: input => {
      const first = left.test(input);
      if (first === false) return false;
      const second = right.test(input);
      if (second === false) return false;
      return first === undefined ? undefined : second;
    },
  };
}

export function or(left: Condition, right: Condition): Condition {
  return {
    needsMessage: left.needsMessage || right.needsMessage,
    anonymous: left.anonymous || right.anonymous,
    refusable: left.refusable && right.refusable,
    test: input => {
      const first = left.test(input);
      if (first === true) return true;
      const second = right.test(input);
      if (second === true) return true;
      return first === undefined ? undefined : second;
    },
  };
}

export function not(condition: Condition): Condition {
  return {
    needsMessage: condition.needsMessage,
    anonymous: condition.refusable,
    refusable: condition.anonymous,
    test: input => {
      const truth = condition.test(input);
      return truth === undefined ? undefined : !truth;
    },
  };
}
