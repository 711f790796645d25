import type { Path } from "../config/diagnostic.js";
import { oneOf } from "../config/expectation.js";
import type { Findings } from "../config/findings.js";
import type { DraftOf, Loaded } from "../config/schema.js";
import { mapping, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";

const template = (method: string) =>
  Type.Optional(
    text("template", { description: `Path template of a ${method} route, such as /v1/{name=messages/*}.` }),
  );

/** The keys of a rule of which there is exactly one. */
const routePatterns = ["get", "put", "post", "delete", "patch", "custom"] as const;

const exactlyOnePattern = { oneOf: routePatterns.map(key => ({ required: [key] })) };

const route = {
  get: template("GET"),
  put: template("PUT"),
  post: template("POST"),
  delete: template("DELETE"),
  patch: template("PATCH"),
  custom: Type.Optional(
    mapping(
      {
        kind: text("httpMethod", { description: "The HTTP method, such as HEAD; `*` for any." }),
        path: text("template", { description: "Path template." }),
      },
      "A route of another HTTP method.",
    ),
  ),
  body: Type.Optional(
    text("body", {
      description: 'The request field that the body fills: "*" for all of them; left out, there is none.',
    }),
  ),
  response_body: Type.Optional(
    text("field", {
      description: "The field of the response message that becomes the body. Left out: the whole message.",
    }),
  ),
};

const RuleSchema = mapping(
  {
    selector: text("methodName", { description: "The method, `package.Service.Method`." }),
    ...route,
    additional_bindings: Type.Array(
      mapping(route, "A further route of the same method.", exactlyOnePattern),
      {
        default: [],
        description: "Further routes of the method. They inherit nothing from the rule and do not nest.",
      },
    ),
  },
  "A google.api.HttpRule with exactly one of get, put, post, delete, patch and custom.",
  exactlyOnePattern,
);

/** `http.rules`. */
export const RulesSchema = Type.Array(RuleSchema, {
  default: [],
  description: "Routes by method; a rule replaces the method's annotation.",
});

export type RulesConfig = Loaded<typeof RulesSchema>;
export type RuleConfig = RulesConfig[number];
/** A rule's further route: the rule without selector and additional_bindings. */
export type RouteConfig = RuleConfig["additional_bindings"][number];

export function checkRules(rules: DraftOf<RulesConfig> | undefined, findings: Findings): void {
  const first = new Map<string, number>();
  rules?.forEach((rule, index) => {
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
