import { type Failure, GatewayError, gatewayFailure } from "../../status/failure.js";
import type { PolicyCounters, PolicyMetrics } from "../auth-metrics.js";
import type { Identity } from "../identity.js";
import { sameClaims } from "./comparison.js";
import type { PolicyConfig } from "./config.js";
import { type Expression, ExpressionError } from "./expression.js";
import { parseExpression } from "./expression-parser.js";
import { compileRule, conjuncts, type RuleScope } from "./rule.js";
import type { Condition, RuleInput } from "./truth.js";

/** One item of `auth.policies`, as far as it is independent of the route. */
export interface Policy {
  readonly config: PolicyConfig;
  /** Its name, or its index as text. */
  readonly label: string;
  readonly counters: PolicyCounters;
  /** Undefined where there is no rule, or none that can be read. */
  readonly rule: Expression | undefined;
  /** The error in the rule's text. */
  readonly fault: ExpressionError | undefined;
}

/** The condition of a policy in one scope. */
export interface Requirement {
  readonly policy: Policy;
  /** False where no unauthenticated caller can pass. */
  readonly anonymous: boolean;
  /** All of these; of `anyScope` one, where there are some. */
  readonly scopes: readonly string[];
  readonly anyScope: readonly string[];
  readonly claims: readonly (readonly [name: string, values: ClaimValues])[];
  /** Rules that need no field of the request. */
  readonly early: readonly Condition[];
  /** Rules that compare with fields of the request. */
  readonly late: readonly Condition[];
}

export function createPolicy(config: PolicyConfig, index: number, metrics: PolicyMetrics): Policy {
  const label = config.name ?? String(index);
  const policy = { config, label, counters: metrics.of(label) };
  const text = config.require?.rule;
  if (text === undefined) return { ...policy, rule: undefined, fault: undefined };
  try {
    return { ...policy, rule: parseExpression(text), fault: undefined };
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    return { ...policy, rule: undefined, fault: error };
  }
}

/** @throws ExpressionError where the rule does not fit the types of the scope */
export function requirementOf(policy: Policy, scope: RuleScope): Requirement {
  const { deny, require: requirement } = policy.config;
  const conditions =
    policy.rule === undefined ? [] : conjuncts(policy.rule).map(each => compileRule(each, scope));
  const named =
    requirement?.scopes !== undefined ||
    requirement?.any_scope !== undefined ||
    requirement?.claims !== undefined;
  return {
    policy,
    scopes: requirement?.scopes ?? [],
    anyScope: requirement?.any_scope ?? [],
    claims: Object.entries(requirement?.claims ?? {}),
    anonymous: deny === true || (!named && conditions.every(condition => condition.anonymous)),
    early: conditions.filter(condition => !condition.needsMessage),
    late: conditions.filter(condition => condition.needsMessage),
  };
}

/** Everything that can be decided without the request's fields. @throws GatewayError */
export function decideEarly(requirement: Requirement, input: RuleInput): void {
  const unmet = unmetEarly(requirement, input);
  if (unmet === undefined) return;
  const { policy } = requirement;
  throw unmet === "denied" ? denied(policy) : scopeMissing(policy, input.identity, unmet);
}

/** Whether `decideEarly` would let it pass. */
export function allowsEarly(requirement: Requirement, input: RuleInput): boolean {
  return unmetEarly(requirement, input) === undefined;
}

/** The scopes that are missing, `denied` for anything else, undefined where nothing is. */
function unmetEarly(
  { policy, scopes, anyScope, claims, early }: Requirement,
  input: RuleInput,
): "denied" | readonly string[] | undefined {
  if (policy.config.deny === true) return "denied";
  const { identity } = input;
  if (scopes.length > 0 && !scopes.every(scope => identity?.scopes.has(scope))) return scopes;
  if (anyScope.length > 0 && !anyScope.some(scope => identity?.scopes.has(scope))) return anyScope;
  for (const [name, values] of claims) if (!hasClaim(identity, name, values)) return "denied";
  return early.every(condition => condition.test(input) === true) ? undefined : "denied";
}

/** The rules that compare with the request's fields. @throws GatewayError */
export function decideLate({ policy, late }: Requirement, input: RuleInput): void {
  for (const condition of late) if (condition.test(input) !== true) throw denied(policy);
}

type ClaimValues = string | number | boolean | readonly (string | number | boolean)[];

function hasClaim(identity: Identity | undefined, name: string, required: ClaimValues): boolean {
  if (identity === undefined || !Object.hasOwn(identity.claims, name)) return false;
  const claim = identity.claims[name];
  const held: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
  const values: readonly unknown[] = Array.isArray(required) ? required : [required];
  return held.some(one => values.some(value => sameClaims(one, value) === true));
}

function denied(policy: Policy): GatewayError {
  return refused(policy, gatewayFailure("POLICY_DENIED", "a policy does not allow this request"));
}

/** RFC 6750 section 3.1 */
function scopeMissing(
  policy: Policy,
  identity: Identity | undefined,
  scopes: readonly string[],
): GatewayError {
  if (identity === undefined) return denied(policy);
  const challenge = `Bearer error="insufficient_scope", scope="${scopes.join(" ")}"`;
  const message = "the credential does not have the scope that this request requires";
  const headers = [["www-authenticate", challenge]] as const;
  return refused(policy, gatewayFailure("SCOPE_MISSING", message, [], { headers }));
}

function refused(policy: Policy, failure: Failure): GatewayError {
  policy.counters.denied.inc();
  const error = new GatewayError(failure);
  error.cause = `policy ${JSON.stringify(policy.label)}`;
  return error;
}
