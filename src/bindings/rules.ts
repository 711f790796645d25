import { type Diagnostic, formatPosition, type Position } from "../config/diagnostic.js";
import { nearest } from "../config/nearest.js";
import type { Path } from "../config/path.js";
import type { Config, RuleConfig, ServiceConfig } from "../config/schema.js";
import { unknownService } from "../config/unknown-service.js";
import type { FileDescriptor, MethodType, Model } from "../descriptors/model.js";
import { automaticRule, conventionalRule } from "./convention.js";
import { flattenRule, type HttpRule, HttpRuleError, type RawRule, rawRuleOf } from "./http-rule.js";

/** Where a binding comes from. */
export type BindingSource = "annotation" | "config" | "convention" | "auto";

/** One rule of one exposed method, not yet checked against its messages. */
export interface RuleOfMethod {
  readonly rule: HttpRule;
  readonly method: MethodType;
  readonly service: ServiceConfig;
  readonly source: BindingSource;
  /** Where a person would change it. */
  readonly position: Position | undefined;
  readonly path: string;
}

export type Locate = (path: Path) => Position;

/** Both annotations that the gateway reads. A method that carries the same rule in both has it once. */
const annotations = ["google.api.http", "trpc.api.http"] as const;

/**
 * Every rule of every exposed method, in the order of the configuration and the protos.
 * Problems are pushed to `diagnostics`.
 */
export function collectRules(
  config: Config,
  model: Model,
  locate: Locate,
  diagnostics: Diagnostic[],
): RuleOfMethod[] {
  const configured = configuredRules(config, model, locate, diagnostics);
  const collected: RuleOfMethod[] = [];
  for (const [index, service] of config.services.entries()) {
    const path = `services[${index}]`;
    const type = model.services.get(service.service);
    if (type === undefined) {
      diagnostics.push({
        severity: "error",
        ...unknownService(service.service, model.services.keys(), config.descriptors.length > 0),
        position: locate(["services", index, "service"]),
        path: `${path}.service`,
      });
      continue;
    }
    for (const name of Object.keys(service.methods)) {
      if (!type.methods.some(method => method.name === name)) {
        diagnostics.push({
          severity: "error",
          message: `${type.fullName} has no method "${name}"`,
          position: locate(["services", index, "methods", name]),
          path: `${path}.methods.${name}`,
          ...suggest(
            name,
            type.methods.map(method => method.name),
          ),
        });
      }
    }
    const before = collected.length;
    for (const method of type.methods) collected.push(...rulesOf(method, service, configured, diagnostics));
    if (collected.length === before) {
      diagnostics.push({
        severity: "warning",
        message: `${type.fullName} gets no routes: none of its methods is annotated; add "convention" or "auto" to bindings, or http.rules`,
        position: locate(["services", index]),
        path,
      });
    }
  }
  return collected;
}

interface ConfiguredRule {
  readonly raw: RuleConfig;
  readonly position: Position;
  readonly path: string;
}

function configuredRules(
  config: Config,
  model: Model,
  locate: Locate,
  diagnostics: Diagnostic[],
): Map<string, ConfiguredRule[]> {
  const exposed = new Set(config.services.map(service => service.service));
  const methods = [...exposed].flatMap(
    name => model.services.get(name)?.methods.map(each => each.fullName) ?? [],
  );
  const known = new Set(methods);
  const rules = new Map<string, ConfiguredRule[]>();
  for (const [index, raw] of config.http.rules.entries()) {
    const position = locate(["http", "rules", index]);
    const path = `http.rules[${index}]`;
    if (!known.has(raw.selector)) {
      diagnostics.push({
        severity: "error",
        message: `no exposed service has the method "${raw.selector}"; its service must stand under services`,
        position: locate(["http", "rules", index, "selector"]),
        path: `${path}.selector`,
        ...suggest(raw.selector, methods),
      });
      continue;
    }
    const list = rules.get(raw.selector) ?? [];
    list.push({ raw, position, path });
    rules.set(raw.selector, list);
  }
  return rules;
}

function rulesOf(
  method: MethodType,
  service: ServiceConfig,
  configured: ReadonlyMap<string, readonly ConfiguredRule[]>,
  diagnostics: Diagnostic[],
): RuleOfMethod[] {
  const declared = configured.get(method.fullName);
  const position: Position | undefined =
    method.line > 0 ? { file: sourceOf(method.file), line: method.line, column: 0 } : undefined;
  const of = (rule: HttpRule, source: BindingSource): RuleOfMethod => ({
    rule,
    method,
    service,
    source,
    position,
    path: method.fullName,
  });
  const rules: RuleOfMethod[] = [];
  if (declared !== undefined) {
    for (const { raw, position, path } of declared) {
      for (const rule of flatten(raw, position, path, "error", diagnostics)) {
        rules.push({ rule, method, service, source: "config", position, path });
      }
    }
  } else {
    if (service.bindings.includes("annotations")) {
      const annotated = annotatedRules(method, position, diagnostics);
      rules.push(...annotated.map(rule => of(rule, "annotation")));
    }
    if (rules.length === 0 && service.bindings.includes("convention")) {
      rules.push(of(conventionalRule(method), "convention"));
    }
  }
  if (service.bindings.includes("auto")) {
    const automatic = automaticRule(method);
    if (!rules.some(({ rule }) => sameRoute(rule, automatic))) rules.push(of(automatic, "auto"));
  }
  return rules;
}

/** The file that a person can open where there is one, else the name under which it was compiled into a set. */
function sourceOf({ origin, name }: FileDescriptor): string {
  return origin.endsWith(name) ? origin : name;
}

function annotatedRules(
  method: MethodType,
  position: Position | undefined,
  diagnostics: Diagnostic[],
): HttpRule[] {
  const rules: HttpRule[] = [];
  for (const name of annotations) {
    const option = method.options.get(name);
    if (option === undefined) continue;
    for (const rule of flatten(rawRuleOf(option), position, method.fullName, "warning", diagnostics)) {
      if (!rules.some(other => sameRule(other, rule))) rules.push(rule);
    }
  }
  return rules;
}

/** A rule of the user's own file is an error when it is wrong; one in somebody's proto must not stop the gateway. */
function flatten(
  raw: RawRule,
  position: Position | undefined,
  path: string,
  severity: Diagnostic["severity"],
  diagnostics: Diagnostic[],
): HttpRule[] {
  try {
    return flattenRule(raw);
  } catch (error) {
    if (!(error instanceof HttpRuleError)) throw error;
    diagnostics.push({
      severity,
      message: error.message,
      path,
      ...(position === undefined ? {} : { position }),
    });
    return [];
  }
}

function sameRoute(one: HttpRule, two: HttpRule): boolean {
  return one.method === two.method && one.template === two.template;
}

function sameRule(one: HttpRule, two: HttpRule): boolean {
  return sameRoute(one, two) && one.body === two.body && one.responseBody === two.responseBody;
}

function suggest(name: string, candidates: Iterable<string>): { suggestion?: string } {
  const suggestion = nearest(name, candidates);
  return suggestion === undefined ? {} : { suggestion };
}

/** `config/gateway.yaml:12:5` or the method's full name: how one rule is told from another in messages. */
export function ruleOrigin(rule: RuleOfMethod): string {
  const where = rule.position === undefined ? "" : ` (${formatPosition(rule.position)})`;
  return `${rule.method.fullName}${where}`;
}
