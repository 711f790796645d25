import type { Draft, DraftOf } from "./draft.js";
import type { Findings } from "./findings.js";
import type { Path } from "./path.js";
import type { PolicyConfig } from "./schema.js";

/** What compiles policies against routes is checked there; here is what the text alone shows. */
export function checkPolicies(draft: Draft, findings: Findings): void {
  const first = new Map<string, number>();
  draft.auth?.policies?.forEach((policy, index) => {
    if (policy === undefined) return;
    const path = ["auth", "policies", index];
    checkMatch([...path, "match"], policy, findings);
    checkDemand(path, policy, findings);
    const { name } = policy;
    if (name === undefined) return;
    const earlier = first.get(name);
    const at = [...path, "name"];
    if (earlier === undefined) first.set(name, index);
    else findings.error(at, `${findings.show(at, name)} is the name of auth.policies[${earlier}] already`);
  });
}

function checkMatch(at: Path, policy: DraftOf<PolicyConfig>, findings: Findings): void {
  const match = policy.match;
  if (match === undefined) return;
  if (!("route" in match) && !("rpc" in match) && !("room" in match)) {
    findings.error(at, "expected route, rpc or room; without them the policy holds for nothing");
  }
  if ("room" in match && ("route" in match || "rpc" in match || "methods" in match)) {
    findings.error([...at, "room"], "a room has neither route nor RPC; write a policy of its own for it");
  }
  const { route, rpc } = match;
  if (route?.split("/").some(segment => segment.includes("**") && segment !== "**")) {
    findings.error(
      [...at, "route"],
      'in a route "**" stands alone between slashes; within a segment use "*"',
    );
  }
  if (rpc !== undefined && !rpcPattern.test(rpc)) {
    const expected = "expected package.Service/Method, package.Service/* or package.**";
    findings.error([...at, "rpc"], `${expected}, found ${findings.show([...at, "rpc"], rpc)}`);
  }
}

const rpcPattern = /^([A-Za-z_][A-Za-z0-9_]*\.)*([A-Za-z_][A-Za-z0-9_]*\/(\*|[A-Za-z_][A-Za-z0-9_]*)|\*\*)$/;

function checkDemand(at: Path, policy: DraftOf<PolicyConfig>, findings: Findings): void {
  const { require: demand } = policy;
  if ("deny" in policy) {
    if ("require" in policy)
      findings.error([...at, "deny"], '"deny" refuses everybody; "require" has no say');
    return;
  }
  if (!("require" in policy)) {
    findings.error(at, 'expected "require" or "deny: true"');
    return;
  }
  if (demand === undefined) return;
  if (Object.keys(demand).length === 0) {
    findings.error([...at, "require"], "expected scopes, any_scope, claims or rule; this requires nothing");
  }
  for (const key of ["scopes", "any_scope"] as const) {
    if (demand[key]?.length === 0) findings.error([...at, "require", key], "expected at least one scope");
    demand[key]?.forEach((scope, index) => {
      const place = [...at, "require", key, index];
      // RFC 6749 section 3.3
      if (scope === undefined || /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)) return;
      const shown = findings.show(place, scope);
      findings.error(place, `expected a scope of printable ASCII without spaces, " and \\, found ${shown}`);
    });
  }
}
