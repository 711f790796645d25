import type { Locate } from "../../bindings/rules.js";
import { type Codecs, createCodecs } from "../../codec/codecs.js";
import type { Diagnostic } from "../../config/diagnostic.js";
import { formatPath } from "../../config/path.js";
import type { Config, UpstreamConfig } from "../../config/schema.js";
import type { MethodType, Model } from "../../descriptors/model.js";
import type { EventKind } from "./bridge.js";
import type { BridgeConfig, EventConfig } from "./bridge-config.js";
import { compileCalls } from "./compile-calls.js";
import { eventRequest, requestProblems } from "./event-fields.js";
import { eventReply, rewrites } from "./event-reply.js";
import { findMethod, type Report } from "./find-method.js";
import type { BridgePlan, EventPlan } from "./plan.js";

export interface CompiledBridge {
  readonly plan: BridgePlan;
  /** Warnings, and the errors with which the plan must not be used. */
  readonly diagnostics: readonly Diagnostic[];
}

/** What `realtime.events` and `realtime.calls` come to with these descriptors. Names of upstreams are checked already. */
export function compileBridge(
  config: Config,
  realtime: BridgeConfig,
  model: Model,
  locate: Locate,
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
    events[kind] = eventPlan(kind, event, method, upstream, codecs);
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

/** The method that is asked about an event, with all that is wrong with it reported. */
function eventMethod(
  kind: EventKind,
  event: EventConfig,
  model: Model,
  report: Report,
): MethodType | undefined {
  const path = ["realtime", "events", kind];
  const method = findMethod(event.method, model, [...path, "method"], report);
  if (method === undefined) return undefined;
  if (method.clientStreaming || method.serverStreaming) {
    report("error", [...path, "method"], `${event.method} streams; an event is put to a unary method`);
    return undefined;
  }
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
): EventPlan {
  const rewrite = event.rewrite ?? (kind === "message" ? ["message"] : []);
  return {
    upstream: event.upstream,
    method,
    timeout: event.timeout ?? upstream.timeout,
    onFailure: event.on_failure,
    request: eventRequest(kind, method.input),
    input: codecs.message(method.input),
    reply: eventReply(method.output, codecs.message(method.output), rewrite),
  };
}
