import type { Draft, DraftOf } from "./draft.js";
import { oneOf } from "./expectation.js";
import type { Findings } from "./findings.js";
import { routePatterns } from "./http-schema.js";
import type { Path } from "./path.js";
import type { RouteConfig } from "./schema.js";

export function checkRules(draft: Draft, findings: Findings): void {
  const first = new Map<string, number>();
  draft.http?.rules?.forEach((rule, index) => {
    const path = ["http", "rules", index];
    checkPattern(path, rule, findings);
    rule?.additional_bindings?.forEach((route, further) => {
      checkPattern([...path, "additional_bindings", further], route, findings);
    });
    const selector = rule?.selector;
    if (selector === undefined) return;
    const earlier = first.get(selector);
    if (earlier === undefined) first.set(selector, index);
    else {
      const at = [...path, "selector"];
      const shown = findings.show(at, selector);
      findings.error(
        at,
        `${shown} has a rule already, http.rules[${earlier}]; add to its additional_bindings`,
      );
    }
  });
}

/** google.api.HttpRule: `pattern` is a oneof. A pattern that is written but wrong counts as written. */
function checkPattern(at: Path, route: DraftOf<RouteConfig> | undefined, findings: Findings): void {
  if (route === undefined) return;
  const found = routePatterns.filter(key => key in route);
  if (found.length === 1) return;
  const expected = `expected exactly one of ${oneOf(routePatterns)}`;
  findings.error(at, `${expected}, found ${found.length === 0 ? "none" : found.join(" and ")}`);
}
