import { METHODS } from "node:http";
import { nearest } from "../config/nearest.js";
import type { OptionValue } from "../descriptors/model.js";
import { anyMethod } from "../routing/router.js";

/** One HTTP method and template of a method, `google.api.HttpRule` flattened: additional bindings are separate. */
export interface HttpRule {
  /** HTTP method in upper case, or `*` for any (`custom { kind: "*" }`). */
  readonly method: string;
  readonly template: string;
  /** Empty: no body. `*`: the whole request. Else the name of a top-level request field. */
  readonly body: string;
  /** Empty: the whole response. Else the name of a top-level response field. */
  readonly responseBody: string;
}

/** Thrown where a rule is not a rule: no pattern, or additional bindings inside additional bindings. */
export class HttpRuleError extends Error {
  override readonly name = "HttpRuleError";
}

/** The shape in which both annotations and the configuration hold a rule. */
export interface DeclaredRule {
  readonly get?: string;
  readonly put?: string;
  readonly post?: string;
  readonly delete?: string;
  readonly patch?: string;
  readonly custom?: { readonly kind: string; readonly path: string };
  readonly body?: string;
  readonly response_body?: string;
  readonly additional_bindings?: readonly DeclaredRule[];
}

const patterns = ["get", "put", "post", "delete", "patch"] as const;

/**
 * The rule and its additional bindings, in order. Additional bindings inherit nothing and do not nest
 * (`google/api/http.proto`).
 * @throws HttpRuleError
 */
export function flattenRule(raw: DeclaredRule): HttpRule[] {
  const rules = [single(raw)];
  for (const additional of raw.additional_bindings ?? []) {
    if ((additional.additional_bindings?.length ?? 0) > 0) {
      throw new HttpRuleError("additional_bindings must not contain additional_bindings");
    }
    rules.push(single(additional));
  }
  return rules;
}

/** Reads the value of a `(google.api.http)` or `(trpc.api.http)` option. */
export function declaredRuleOf(option: OptionValue): DeclaredRule {
  // The descriptor module decodes the option by its own definition, whose names are those of RawRule.
  return option as unknown as DeclaredRule;
}

function single(raw: DeclaredRule): HttpRule {
  const body = raw.body ?? "";
  const responseBody = raw.response_body ?? "";
  for (const pattern of patterns) {
    const template = raw[pattern];
    if (template !== undefined) return { method: pattern.toUpperCase(), template, body, responseBody };
  }
  if (raw.custom === undefined) {
    throw new HttpRuleError("the rule has no pattern; expected get, put, post, delete, patch or custom");
  }
  const method = (raw.custom.kind ?? "").toUpperCase();
  if (!/^(\*|[!#$%&'*+.^_`|~0-9A-Z-]{1,32})$/.test(method)) {
    throw new HttpRuleError(`custom.kind must be an HTTP method or "*", found "${raw.custom.kind ?? ""}"`);
  }
  return { method, template: raw.custom.path ?? "", body, responseBody };
}

/** Methods that `node:http` parses; a request with another one gets 400 before it is routed. */
const parsed: ReadonlySet<string> = new Set(METHODS);

/** Why requests do not reach a custom kind of the rule as it is declared, one text a kind. */
export function kindWarnings({ custom, additional_bindings = [] }: DeclaredRule): string[] {
  const own = custom === undefined ? undefined : kindWarning(custom.kind ?? "");
  return [...(own === undefined ? [] : [own]), ...additional_bindings.flatMap(kindWarnings)];
}

function kindWarning(kind: string): string | undefined {
  const method = kind.toUpperCase();
  if (kind === anyMethod) return undefined;
  if (method === "CONNECT") {
    return `custom.kind "${kind}" cannot be requested: CONNECT names an authority and has no path`;
  }
  if (!parsed.has(method)) {
    const near = nearest(method, METHODS);
    const hint = near === undefined ? "" : `; did you mean "${near}"?`;
    return `custom.kind "${kind}" cannot be requested: expected a registered HTTP method or "*"${hint}`;
  }
  if (kind !== method) {
    return `custom.kind "${kind}" is bound as ${method}: HTTP methods are in capitals, and case counts`;
  }
  return undefined;
}
