import { type Diagnostic, type FilePosition, formatPosition, type Path } from "../config/diagnostic.js";
import { nearest } from "../config/nearest.js";
import { type FileDescriptor, type MethodType, type Model, maxOptionsBytes } from "../descriptors/model.js";
import { inTurns, type Pace } from "../net/pace.js";
import { automaticRule, conventionalRule } from "./convention.js";
import { type ExposedService, exposedServices, missingServices } from "./exposed-services.js";
import {
  type DeclaredRule,
  declaredRuleOf,
  flattenRule,
  type HttpRule,
  HttpRuleError,
  kindWarnings,
} from "./http-rule.js";
import type { RuleConfig } from "./rule-config.js";
import type { BindingSections, ServiceConfig } from "./service-config.js";

/** Where a binding comes from. */
export type BindingSource = "annotation" | "config" | "convention" | "auto" | "protocols";

/** One rule of one exposed method, not yet checked against its messages. */
export interface MethodRule {
  readonly rule: HttpRule;
  readonly method: MethodType;
  readonly service: ServiceConfig;
  /** Put before the template; empty for none. */
  readonly prefix: string;
  readonly source: BindingSource;
  /** Its position in the source. For a rule of a proto: available once its file has read its positions. */
  position(): FilePosition | undefined;
  readonly path: string;
}

export type Locate = (path: Path) => FilePosition;

/** Both annotations that the gateway reads. A method that carries the same rule in both has it once. */
const annotations = ["google.api.http", "trpc.api.http"] as const;

/**
 * Every rule of every exposed method, in the order of the configuration and the protos.
 * Problems are pushed to `diagnostics`.
 */
export async function collectRules(
  config: BindingSections,
  model: Model,
  locate: Locate,
  diagnostics: Diagnostic[],
  pace: Pace,
): Promise<MethodRule[]> {
  const exposed = exposedServices(config, model);
  const configured = await configuredRules(config, exposed, locate, diagnostics, pace);
  const collected: MethodRule[] = [];
  const byEntry = config.services.map((): ExposedService[] => []);
  for (const service of exposed.values()) byEntry[service.index]?.push(service);
  for (const [index, entry] of config.services.entries()) {
    const path = `services[${index}]`;
    const services = byEntry[index] ?? [];
    const types = services.map(({ type }) => type);
    if (types.length === 0) {
      const missing = missingServices(entry.service, config, model);
      if (missing !== undefined)
        diagnostics.push({
          ...missing,
          position: locate(["services", index, "service"]),
          path: `${path}.service`,
        });
      continue;
    }
    const methods = new Set(types.flatMap(type => type.methods.map(method => method.name)));
    for (const name of Object.keys(entry.methods)) {
      if (methods.has(name)) continue;
      if (pace.spent(methods.size)) await pace.nextTurn();
      const owner = types.length === 1 ? types[0]?.fullName : `none of the services of ${entry.service}`;
      diagnostics.push({
        severity: "error",
        message: types.length === 1 ? `${owner} has no method "${name}"` : `${owner} has a method "${name}"`,
        position: locate(["services", index, "methods", name]),
        path: `${path}.methods.${name}`,
        ...suggest(name, methods),
      });
    }
    const before = collected.length;
    for (const service of services) {
      const settings = bindingSettings(service, config);
      for (const method of service.type.methods) {
        const found: Diagnostic[] = [];
        let rules = rulesOf(method, settings, configured, found);
        if (found.length > 0) {
          await inTurns(pace, method.file.readLocations());
          rules = rulesOf(method, settings, configured, diagnostics);
        }
        collected.push(...rules);
        if (pace.spent(methodUnits)) await pace.nextTurn();
      }
    }
    if (collected.length === before && !hasOtherProtocols(entry, config)) {
      const what = types.length === 1 ? types[0]?.fullName : `${entry.service} (${types.length} services)`;
      diagnostics.push({
        severity: "warning",
        message: `${what} gets no routes: none of its methods is annotated; add "convention" or "auto" to bindings, or http.rules`,
        position: locate(["services", index]),
        path,
      });
    }
  }
  return collected;
}

/** Whether an entry, or a method of it, names protocols that need no routes. */
function hasOtherProtocols(
  { protocols, methods }: ServiceConfig,
  { service_defaults }: BindingSections,
): boolean {
  const named = [
    protocols ?? service_defaults.protocols,
    ...Object.values(methods).map(each => each.protocols),
  ];
  return named.some(names => names?.some(name => name !== "rest") === true);
}

/** The path of every exposed method, on which other protocols than REST call it: POST, and GET where it has no side effects. */
export function* methodPaths(config: BindingSections, model: Model, locate: Locate): Generator<MethodRule> {
  for (const { type, config: service, index } of exposedServices(config, model).values()) {
    const path = `services[${index}]`;
    const position = (): FilePosition => locate(["services", index]);
    for (const method of type.methods)
      yield { rule: automaticRule(method), method, service, prefix: "", source: "protocols", position, path };
  }
}

/** Units for reading the rules of one method. */
const methodUnits = 25;

/** The settings that select the rules of a service. */
interface BindingSettings {
  readonly service: ServiceConfig;
  readonly bindings: readonly string[];
  readonly prefix: string;
}

function bindingSettings(
  { config: service, type }: ExposedService,
  config: BindingSections,
): BindingSettings {
  const { bindings, prefix } = config.service_defaults;
  return {
    service,
    bindings: service.bindings ?? bindings,
    prefix: (service.prefix ?? prefix).replaceAll("{package}", type.file.package),
  };
}

interface ConfiguredRule {
  readonly raw: RuleConfig;
  readonly position: FilePosition;
  readonly path: string;
}

async function configuredRules(
  config: BindingSections,
  exposed: ReadonlyMap<string, ExposedService>,
  locate: Locate,
  diagnostics: Diagnostic[],
  pace: Pace,
): Promise<Map<string, ConfiguredRule[]>> {
  const methods = [...exposed.values()].flatMap(({ type }) => type.methods.map(each => each.fullName));
  const known = new Set(methods);
  const rules = new Map<string, ConfiguredRule[]>();
  for (const [index, raw] of config.http.rules.entries()) {
    const position = locate(["http", "rules", index]);
    const path = `http.rules[${index}]`;
    if (pace.spent(methodUnits)) await pace.nextTurn();
    if (!known.has(raw.selector)) {
      pace.spent(methods.length);
      diagnostics.push({
        severity: "error",
        message: `no exposed service has the method "${raw.selector}"; its service must be listed under services`,
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
  { service, bindings, prefix }: BindingSettings,
  configured: ReadonlyMap<string, readonly ConfiguredRule[]>,
  diagnostics: Diagnostic[],
): MethodRule[] {
  const declared = configured.get(method.fullName);
  const position = (): FilePosition | undefined =>
    method.line > 0 ? { file: sourceOf(method.file), line: method.line, column: 0 } : undefined;
  const of = (rule: HttpRule, source: BindingSource): MethodRule => ({
    rule,
    method,
    service,
    prefix,
    source,
    position,
    path: method.fullName,
  });
  const rules: MethodRule[] = [];
  if (declared !== undefined) {
    for (const { raw, position, path } of declared) {
      for (const rule of flatten(raw, () => position, path, "error", diagnostics)) {
        rules.push({ rule, method, service, prefix, source: "config", position: () => position, path });
      }
    }
  } else {
    if (bindings.includes("annotations")) {
      const annotated = annotatedRules(method, position, diagnostics);
      rules.push(...annotated.map(rule => of(rule, "annotation")));
    }
    if (rules.length === 0 && bindings.includes("convention")) {
      rules.push(of(conventionalRule(method), "convention"));
    }
  }
  if (bindings.includes("auto")) {
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
  position: () => FilePosition | undefined,
  diagnostics: Diagnostic[],
): HttpRule[] {
  const rules: HttpRule[] = [];
  const { length } = method.options.bytes;
  if (length > maxOptionsBytes)
    diagnostics.push({
      severity: "warning",
      message: `no route for the annotation of this method: its options have ${length} bytes, and none are read where they have more than ${maxOptionsBytes}`,
      path: method.fullName,
      ...placed(position()),
    });
  for (const name of annotations) {
    const option = method.options.get(name);
    if (option === undefined) continue;
    for (const rule of flatten(declaredRuleOf(option), position, method.fullName, "warning", diagnostics)) {
      if (!rules.some(other => sameRule(other, rule))) rules.push(rule);
    }
  }
  return rules;
}

/** A wrong rule of the user's own file is an error; one in a proto of a backend must not stop the gateway. */
function flatten(
  raw: DeclaredRule,
  position: () => FilePosition | undefined,
  path: string,
  severity: Diagnostic["severity"],
  diagnostics: Diagnostic[],
): HttpRule[] {
  try {
    const rules = flattenRule(raw);
    for (const message of kindWarnings(raw)) {
      diagnostics.push({ severity: "warning", message, path, ...placed(position()) });
    }
    return rules;
  } catch (error) {
    if (!(error instanceof HttpRuleError)) throw error;
    diagnostics.push({ severity, message: error.message, path, ...placed(position()) });
    return [];
  }
}

function placed(position: FilePosition | undefined): { position?: FilePosition } {
  return position === undefined ? {} : { position };
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

/** `config/gateway.yaml:12:5` or the method's full name: how messages name one rule. */
export function ruleOrigin(rule: MethodRule): string {
  const position = rule.position();
  const where = position === undefined ? "" : ` (${formatPosition(position)})`;
  return `${rule.method.fullName}${where}`;
}
