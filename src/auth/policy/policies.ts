import { type Diagnostic, type FilePosition, formatPath, type Path } from "../../config/diagnostic.js";
import type { MethodType } from "../../descriptors/model.js";
import type { Template } from "../../routing/template.js";
import type { PolicyMetrics } from "../auth-metrics.js";
import type { Authorizer, RoomAuthorizer } from "../authorizer.js";
import type { PolicyConfig } from "./config.js";
import { ExpressionError } from "./expression.js";
import { type Coverage, type PathGlob, pathGlob, wildcard } from "./path-glob.js";
import {
  allowsEarly,
  createPolicy,
  decideEarly,
  decideLate,
  type Policy,
  type Requirement,
  requirementOf,
} from "./policy.js";
import type { RoomParts, RuleScope } from "./rule.js";

/** A route that policies may match. */
export interface AuthorizationTarget {
  /** HTTP method in upper case; `*` for any. */
  readonly method: string;
  /** With the prefix of its service. */
  readonly template: Template;
  /** Undefined where the gateway serves the route itself or forwards the request. */
  readonly rpc: MethodType | undefined;
  /** False where `auth` is none. */
  readonly authenticated: boolean;
  /** True for calls of an RPC that come by no route of their own, and that every route's policies guard as well. */
  readonly routeless?: boolean;
}

/** The policies of one configuration. Every route is compiled first; problems are in `diagnostics` afterwards. */
export interface Policies {
  /** Undefined where no policy matches the route. */
  authorizer(target: AuthorizationTarget): Authorizer | undefined;
  /** Undefined where no policy matches rooms. @param authenticated false where `realtime.auth` is none */
  rooms(authenticated: boolean, parts?: RoomParts): RoomAuthorizer | undefined;
  /** Rules that do not fit their routes, and policies that match none. */
  diagnostics(): readonly Diagnostic[];
}

export interface PolicyContext {
  /** Position of a node of the configuration. */
  locate(path: Path): FilePosition;
  readonly metrics: PolicyMetrics;
}

export function createPolicies(configs: readonly PolicyConfig[], context: PolicyContext): Policies {
  return new CompiledPolicies(configs, context);
}

/** A policy with the matchers of its routes. */
interface Matcher {
  readonly index: number;
  readonly policy: Policy;
  readonly glob: PathGlob | undefined;
  readonly rpc: ((method: MethodType) => boolean) | undefined;
  readonly methods: ReadonlySet<string> | undefined;
  readonly room: ((name: string) => boolean) | undefined;
  /** The routes that it matches, and the RPCs behind them. */
  readonly routes: Set<string>;
  readonly rpcs: Set<string>;
}

/** A requirement at a route; `glob` where it holds for some paths only, `methods` where for some methods only. */
interface Applied {
  readonly requirement: Requirement;
  readonly glob: PathGlob | undefined;
  readonly methods: ReadonlySet<string> | undefined;
}

const noMessage = new Uint8Array(0);

class CompiledPolicies implements Policies {
  readonly #matchers: readonly Matcher[];
  readonly #context: PolicyContext;
  /** By text, so that one problem of many routes is reported once. */
  readonly #problems = new Map<string, Diagnostic>();
  readonly #routes: { readonly location: string; readonly rpc: string }[] = [];

  constructor(configs: readonly PolicyConfig[], context: PolicyContext) {
    this.#context = context;
    this.#matchers = configs.map((config, index) => {
      const { route, rpc, methods, room } = config.match;
      const policy = createPolicy(config, index, context.metrics);
      const matcher: Matcher = {
        index,
        policy,
        glob: route === undefined ? undefined : pathGlob(route),
        rpc: rpc === undefined ? undefined : rpcPattern(rpc),
        methods: methods === undefined ? undefined : new Set(methods.map(asGet)),
        room: room === undefined ? undefined : wildcard(room),
        routes: new Set(),
        rpcs: new Set(),
      };
      if (policy.fault !== undefined) this.#invalid(matcher, policy.fault, "");
      return matcher;
    });
  }

  authorizer(target: AuthorizationTarget): Authorizer | undefined {
    const location = locationOf(target);
    const rpc = target.rpc?.path ?? "";
    if (rpc !== "" && target.routeless !== true) this.#routes.push({ location, rpc });
    const applied: Applied[] = [];
    for (const matcher of this.#matchers) {
      const coverage = coverageOf(matcher, target);
      if (coverage === "never") continue;
      matcher.routes.add(location);
      matcher.rpcs.add(rpc);
      const requirement = this.#requirement(matcher, { input: target.rpc?.input, room: false }, location);
      if (requirement === undefined) continue;
      const glob = coverage === "depends" ? matcher.glob : undefined;
      if (glob === undefined && !target.authenticated) this.#requireIdentity(matcher, requirement, location);
      // A route for any method is under the policy only where it is called with one that the policy names.
      applied.push({
        requirement,
        glob,
        methods: target.method === "*" ? matcher.methods : undefined,
      });
    }
    return applied.length === 0 ? undefined : authorizerOf(applied);
  }

  rooms(authenticated: boolean, parts?: RoomParts): RoomAuthorizer | undefined {
    const applied: { readonly requirement: Requirement; readonly matches: (name: string) => boolean }[] = [];
    for (const matcher of this.#matchers) {
      if (matcher.room === undefined) continue;
      const requirement = this.#requirement(matcher, { input: undefined, room: true, parts }, "rooms");
      if (requirement === undefined) continue;
      if (!authenticated) this.#requireIdentity(matcher, requirement, "realtime");
      applied.push({ requirement, matches: matcher.room });
    }
    if (applied.length === 0) return undefined;
    return {
      require: (identity, room) => {
        for (const { requirement, matches } of applied) {
          if (!matches(room)) continue;
          decideEarly(requirement, { identity, message: noMessage, room });
          requirement.policy.counters.allowed.inc();
        }
      },
      allows: (identity, room) =>
        applied.every(
          ({ requirement, matches }) =>
            !matches(room) || allowsEarly(requirement, { identity, message: noMessage, room }),
        ),
    };
  }

  diagnostics(): readonly Diagnostic[] {
    return [...this.#problems.values(), ...this.#matchers.flatMap(matcher => this.#warnings(matcher))];
  }

  #warnings({ index, room, rpc, methods, routes, rpcs }: Matcher): Diagnostic[] {
    if (room !== undefined) return [];
    const path = ["auth", "policies", index, "match"];
    const where = { position: this.#context.locate(path), path: formatPath(path) };
    if (routes.size === 0) {
      return [{ severity: "warning", message: "the policy matches no route", ...where }];
    }
    if (rpc !== undefined || methods !== undefined) return [];
    const open = this.#routes.filter(route => rpcs.has(route.rpc) && !routes.has(route.location));
    return open.map(({ location }) => ({
      severity: "warning",
      message: `${location} calls an RPC that the policy guards on another route, but is not under it; match by rpc to guard both`,
      ...where,
    }));
  }

  /** Undefined, and a problem, where the rule does not fit the scope. */
  #requirement(matcher: Matcher, scope: RuleScope, location: string): Requirement | undefined {
    try {
      return requirementOf(matcher.policy, scope);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      this.#invalid(matcher, error, scope.input === undefined ? ` (for ${location})` : "");
      return undefined;
    }
  }

  #invalid({ index }: Matcher, { message, column, suggestion }: ExpressionError, where: string): void {
    const path = ["auth", "policies", index, "require", "rule"];
    this.#report(path, `column ${column} of the rule: ${message}${where}`, suggestion);
  }

  #requireIdentity({ index }: Matcher, { anonymous }: Requirement, location: string): void {
    if (anonymous) return;
    const path = ["auth", "policies", index];
    this.#report(path, `the policy needs to know who calls, but ${location} has "auth: none"`);
  }

  #report(path: Path, message: string, suggestion?: string): void {
    const at = formatPath(path);
    this.#problems.set(`${at} ${message}`, {
      severity: "error",
      message,
      position: this.#context.locate(path),
      path: at,
      ...(suggestion === undefined ? {} : { suggestion }),
    });
  }
}

/** Where several keys are given, all must match. */
function coverageOf({ glob, rpc, methods, room }: Matcher, target: AuthorizationTarget): Coverage {
  if (room !== undefined) return "never";
  if (rpc !== undefined && (target.rpc === undefined || !rpc(target.rpc))) return "never";
  if (methods !== undefined && target.method !== "*" && !methods.has(asGet(target.method))) return "never";
  return glob === undefined ? "always" : glob.coverage(target.template);
}

/** HEAD is served by routes of GET. */
function asGet(method: string): string {
  return method === "HEAD" ? "GET" : method;
}

function locationOf({ method, template, rpc }: AuthorizationTarget): string {
  return rpc === undefined
    ? `${method} ${template.text}`
    : `${method} ${template.text} (${rpc.path.slice(1)})`;
}

function holds({ glob, methods }: Applied, segments: readonly string[], method: string | undefined): boolean {
  if (methods !== undefined && method !== undefined && !methods.has(asGet(method))) return false;
  return glob === undefined || glob.matches(segments);
}

function authorizerOf(applied: readonly Applied[]): Authorizer {
  const late = applied.filter(({ requirement }) => requirement.late.length > 0);
  return {
    policies: applied.map(({ requirement }) => requirement.policy.label),
    usesPath: applied.some(({ glob }) => glob !== undefined),
    before: (identity, segments, method) => {
      const input = { identity, message: noMessage, room: "" };
      for (const each of applied) {
        if (!holds(each, segments, method)) continue;
        const { requirement } = each;
        decideEarly(requirement, input);
        if (requirement.late.length === 0) requirement.policy.counters.allowed.inc();
      }
    },
    after:
      late.length === 0
        ? undefined
        : (identity, message, segments, method) => {
            const input = { identity, message, room: "" };
            for (const each of late) {
              if (!holds(each, segments, method)) continue;
              const { requirement } = each;
              decideLate(requirement, input);
              requirement.policy.counters.allowed.inc();
            }
          },
  };
}

/** A test for `package.Service/Method`, `package.Service/*` and `package.**` (`**` alone: every method). */
function rpcPattern(pattern: string): (method: MethodType) => boolean {
  if (pattern.endsWith("**")) {
    const prefix = pattern.slice(0, -2);
    return method => method.service.fullName.startsWith(prefix);
  }
  if (pattern.endsWith("/*")) {
    const service = pattern.slice(0, -2);
    return method => method.service.fullName === service;
  }
  return method => method.path === `/${pattern}`;
}
