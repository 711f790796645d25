import type { RoomParts } from "../../auth/policy/rule.js";
import { exposedServices } from "../../bindings/exposed-services.js";
import { routePolicy } from "../../bindings/policy.js";
import type { Locate } from "../../bindings/rules.js";
import type { BindingSections, ServiceConfig } from "../../bindings/service-config.js";
import { type Codecs, createCodecs } from "../../codec/codecs.js";
import type { Diagnostic } from "../../config/diagnostic.js";
import { formatPath, type Path } from "../../config/diagnostic.js";
import { nearest } from "../../config/nearest.js";
import { findMethod, findUnaryMethod } from "../../descriptors/find-method.js";
import type { MethodType, Model } from "../../descriptors/model.js";
import type { UpstreamConfig } from "../../upstream/config.js";
import type { EventKind } from "./bridge.js";
import type { BridgePlan, CallPlan, EventPlan } from "./bridge-plan.js";
import {
  connectReply,
  eventReply,
  eventRequest,
  type Rewritten,
  requestProblems,
  rewrites,
} from "./event-messages.js";

export interface CompiledBridge {
  readonly plan: BridgePlan;
  /** Warnings, and the errors with which the plan must not be used. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Compiles `realtime.events` and `realtime.calls` with these descriptors. Names of upstreams are checked already. */
export function compileBridge(
  config: BindingSections,
  realtime: BridgeConfig,
  model: Model,
  locate: Locate,
  parts?: RoomParts,
): CompiledBridge {
  const diagnostics: Diagnostic[] = [];
  const report: Report = (severity, path, message, suggestion) => {
    const where = { position: locate(path), path: formatPath(path) };
    diagnostics.push({ severity, message, ...where, ...(suggestion === undefined ? {} : { suggestion }) });
  };
  const codecs = createCodecs(model, {
    enums: "name",
    int64: "string",
    emitDefaults: false,
    names: "proto",
    unknownFields: "ignore",
    depth: config.http.limits.depth,
  });
  const events: Partial<Record<EventKind, EventPlan>> = {};
  for (const [kind, event] of Object.entries(realtime.events) as [EventKind, EventConfig | undefined][]) {
    if (event === undefined) continue;
    const method = eventMethod(kind, event, model, report);
    if (method === undefined) continue;
    const upstream = config.upstreams[event.upstream] as UpstreamConfig;
    events[kind] = eventPlan(kind, event, method, upstream, codecs, parts);
  }
  const { calls_per_connection: perConnection, ...limits } = realtime.bridge;
  const plan: BridgePlan = {
    events,
    calls: compileCalls(config, realtime.calls, model, report),
    limits: { ...limits, perConnection },
    renderDetail: (typeUrl, value) => codecs.renderAny(typeUrl, value),
  };
  return { plan, diagnostics };
}

/** The method that decides on an event; all its problems are reported. */
function eventMethod(
  kind: EventKind,
  event: EventConfig,
  model: Model,
  report: Report,
): MethodType | undefined {
  const path = ["realtime", "events", kind];
  const method = findUnaryMethod(event.method, model, (message, near) =>
    report("error", [...path, "method"], message, near),
  );
  if (method === undefined) return undefined;
  const { errors, warnings } = requestProblems(kind, method.input);
  for (const message of errors) report("error", [...path, "method"], message);
  for (const message of warnings) report("warning", [...path, "method"], message);
  for (const name of event.rewrite ?? []) {
    if (rewrites(method.output, name)) continue;
    report(
      "error",
      [...path, "rewrite"],
      `${method.output.fullName} has no string "${name}" to rewrite it with`,
    );
  }
  return method;
}

function eventPlan(
  kind: EventKind,
  event: EventConfig,
  method: MethodType,
  upstream: UpstreamConfig,
  codecs: Codecs,
  parts: RoomParts | undefined,
): EventPlan {
  const rewrite = event.rewrite ?? (kind === "message" ? ["message"] : []);
  return {
    upstream: event.upstream,
    method,
    timeout: event.timeout ?? upstream.timeout,
    onFailure: event.on_failure,
    request: eventRequest(kind, method.input, parts),
    input: codecs.message(method.input),
    reply:
      kind === "connect"
        ? connectReply(method.output, codecs.message(method.output))
        : eventReply(method.output, codecs.message(method.output), rewrite),
  };
}

/** `realtime.events.<kind>` */
export interface EventConfig {
  readonly upstream: string;
  /** `package.Service/Method` */
  readonly method: string;
  /** Milliseconds; left out, the upstream's. */
  readonly timeout?: number | undefined;
  readonly on_failure: "refuse" | "allow";
  /** Members that a reply may rewrite; left out, `message` where replies have a text of that name. */
  readonly rewrite?: readonly Rewritten[] | undefined;
}

/** The part of `realtime` about backends. */
export interface BridgeConfig {
  readonly events: { readonly [K in EventKind]?: EventConfig | undefined };
  /** `package.Service/Method`, or `package.Service/*`. */
  readonly calls: readonly string[];
  readonly bridge: {
    readonly concurrency: number;
    readonly queue: number;
    readonly streams: number;
    readonly calls_per_connection: number;
  };
}

/**
 * The methods that `realtime.calls` lists, by `package.Service/Method`. A service must be listed under `services`,
 * which defines its upstream and its options. Methods of `package.Service/*` that stream from the client are left out.
 */
function compileCalls(
  config: BindingSections,
  selectors: readonly string[],
  model: Model,
  report: Report,
): ReadonlyMap<string, CallPlan> {
  const calls = new Map<string, CallPlan>();
  const exposed = exposedServices(config, model);
  selectors.forEach((selector, index) => {
    const path = ["realtime", "calls", index];
    const name = selector.slice(0, selector.indexOf("/"));
    const found = exposed.get(name);
    if (found === undefined) {
      // An unknown service is reported where it is exposed.
      if (config.services.some(each => each.service === name)) return;
      const message = `no service "${name}" is exposed; a service that sockets call must be listed under services`;
      report("error", path, message, nearest(name, exposed.keys()));
      return;
    }
    const { config: service, type } = found;
    const { methods } = type;
    if (selector.endsWith("/*")) {
      for (const method of methods) {
        if (!method.clientStreaming) add(method, service);
      }
      return;
    }
    const method = findMethod(selector, model, (message, near) => report("error", path, message, near));
    if (method?.clientStreaming) {
      const message = `${selector} streams from the client; sockets call unary and server-streaming methods`;
      report("error", path, message);
    } else if (method !== undefined) {
      add(method, service);
    }
  });
  return calls;

  function add(method: MethodType, service: ServiceConfig): void {
    calls.set(method.path.slice(1), callPlan(config, service, method, model));
  }
}

/** Milliseconds of a unary call whose service sets no timeout: a day, the longest that can be configured. */
const longestTimeout = 86_400_000;

function callPlan(
  config: BindingSections,
  service: ServiceConfig,
  method: MethodType,
  model: Model,
): CallPlan {
  const policy = routePolicy(config, service, method.name, model);
  const codecs = createCodecs(model, policy.json);
  const ownTimeout =
    (service.methods[method.name]?.timeout ?? service.timeout ?? config.service_defaults.timeout) ||
    undefined;
  return {
    upstream: service.upstream,
    method,
    timeout: method.serverStreaming ? ownTimeout : Math.min(policy.timeout, longestTimeout),
    input: codecs.message(method.input),
    output: codecs.message(method.output),
    retryable: method.idempotency !== "unknown",
  };
}

/** Reports a problem at a position of the configuration. */
type Report = (severity: Diagnostic["severity"], path: Path, message: string, suggestion?: string) => void;
