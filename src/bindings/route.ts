import type { Codecs } from "../codec/codecs.js";
import type { BodyTarget } from "../codec/json-to-wire/body-tree.js";
import { RequestPlan, type RequestSpec } from "../codec/json-to-wire/request.js";
import { isTextBindable } from "../codec/json-to-wire/text-value.js";
import { isWellKnown, type OwnWrappers } from "../codec/well-known.js";
import { type ResponseBody, type ResponsePlan, responsePlan } from "../codec/wire-to-json/response.js";
import { nearest } from "../config/nearest.js";
import type { Field, MessageType, MethodType } from "../descriptors/model.js";
import type { Dialect } from "../dialects/dialect.js";
import { whenReady } from "../net/when-ready.js";
import { type Segment, type Template, TemplateError, templateLimits } from "../routing/template.js";
import { parseTemplate, prefixTemplate, type TemplateParts } from "../routing/template-parser.js";
import type { RoutePolicy } from "./policy.js";
import type { BindingSource, MethodRule } from "./rules.js";
import type { ProtocolName } from "./service-config.js";
import type { StreamPlan, StreamPolicy } from "./stream-config.js";

/** One HTTP method and template of one RPC method, checked against its messages: all that load time can know. */
export interface Route {
  readonly kind: "rpc";
  /** HTTP method in upper case; `*` for any. */
  readonly method: string;
  readonly template: Template;
  readonly rpc: MethodType;
  readonly upstream: string;
  readonly source: BindingSource;
  /** The field path of each template variable. */
  readonly variables: readonly (readonly Field[])[];
  readonly body: BodyTarget;
  readonly responseField: Field | undefined;
  readonly policy: RoutePolicy;
  /** The protocols that may be used beside REST; empty for the templates of REST alone. */
  readonly protocols: readonly ProtocolName[];
  /** Whether REST may be used; false on the path of an RPC that has no rule of its own. */
  readonly rest: boolean;
  readonly request: RequestPlan;
  /** For messages that come one by one over a WebSocket: where the rule has no body, each of them is a whole message. */
  readonly frames: RequestPlan;
  readonly response: ResponsePlan;
  /** Undefined where responses do not stream. */
  readonly stream: StreamPlan | undefined;
  /** The RPC represents all methods of a service without descriptors: messages pass as they come. */
  readonly passThrough?: true;
  /** True where a call may be sent again: the HTTP method is safe or the RPC is declared so. */
  readonly retryable: boolean;
}

/** Thrown where a rule does not fit its messages; the message names the part and the reason. */
export class RouteError extends Error {
  override readonly name = "RouteError";
  constructor(
    message: string,
    readonly suggestion?: string,
  ) {
    super(message);
  }
}

/**
 * @param protocols beside REST
 * @param parts as for `parseTemplate`
 * @throws RouteError
 */
export function compileRoute(
  rule: MethodRule,
  policy: RoutePolicy,
  codecs: Codecs,
  protocols: readonly ProtocolName[],
  parts?: TemplateParts,
): Route {
  const { method: rpc } = rule;
  const template = templateOf(rule, parts);
  const { input, output } = rpc;
  const variables =
    template.variables.length === 0
      ? noVariables
      : template.variables.map(({ path }) => variablePath(input, path, codecs.wrappers));
  if (variables.length > 1) refuseOverlap(variables);
  const body = bodyTarget(input, rule.rule.body, variables);
  const responseBody = rule.rule.responseBody;
  const responseField = responseBody === "" ? undefined : topLevel(output, responseBody, "response_body");
  const stream = rpc.serverStreaming ? streamPlan(rpc, policy.stream, codecs) : undefined;
  return new CompiledRoute(rule, template, variables, body, responseField, policy, protocols, stream, codecs);
}

const noVariables: readonly (readonly Field[])[] = [];

/** Parts that only requests need are made at the first one, as most routes of a large API are never called. */
class CompiledRoute implements Route {
  readonly method: string;
  readonly rpc: MethodType;
  readonly upstream: string;
  readonly source: BindingSource;
  readonly #codecs: Codecs;
  #retryable: boolean | undefined;
  #request: RequestPlan | undefined;
  #frames: RequestPlan | undefined;
  #response: ResponsePlan | undefined;

  constructor(
    rule: MethodRule,
    readonly template: Template,
    readonly variables: readonly (readonly Field[])[],
    readonly body: BodyTarget,
    readonly responseField: Field | undefined,
    readonly policy: RoutePolicy,
    readonly protocols: readonly ProtocolName[],
    readonly stream: StreamPlan | undefined,
    codecs: Codecs,
  ) {
    this.method = rule.rule.method;
    this.rpc = rule.method;
    this.upstream = rule.service.upstream;
    this.source = rule.source;
    this.#codecs = codecs;
  }

  get kind(): "rpc" {
    return "rpc";
  }

  get rest(): boolean {
    return this.source !== "protocols";
  }

  get retryable(): boolean {
    this.#retryable ??= this.method === "GET" || this.method === "HEAD" || this.rpc.idempotency !== "unknown";
    return this.#retryable;
  }

  get request(): RequestPlan {
    this.#request ??= new RequestPlan(this.#spec());
    return this.#request;
  }

  get frames(): RequestPlan {
    if (!this.rpc.clientStreaming || this.body.kind !== "none") return this.request;
    this.#frames ??= new RequestPlan({ ...this.#spec(), body: bodyAll, queryBesideBody: true });
    return this.#frames;
  }

  get response(): ResponsePlan {
    const { output } = this.rpc;
    const plan = (): ResponsePlan => responsePlan(output, this.responseField, this.#codecs);
    this.#response ??= enveloped(plan(), output, this.policy.dialect);
    return this.#response;
  }

  #spec(): RequestSpec {
    const { rpc, variables, body, policy, method } = this;
    return {
      input: rpc.input,
      codecs: this.#codecs,
      variables,
      body,
      query: policy.query,
      fillUpdateMask: method === "PATCH",
      depth: policy.json.depth,
    };
  }
}

/** @throws RouteError where a field that the configuration names is none, or has no text */
function streamPlan(rpc: MethodType, { form, sse }: StreamPolicy, codecs: Codecs): StreamPlan {
  const { id, event, lastEventId, retryMs, heartbeatMs } = sse;
  const printed = (key: string, name: string | undefined): ResponsePlan | undefined => {
    if (name === undefined) return undefined;
    const field = topLevel(rpc.output, name, key);
    requireText(field, key, codecs.wrappers);
    return responsePlan(rpc.output, field, codecs);
  };
  if (lastEventId !== undefined)
    requireText(topLevel(rpc.input, lastEventId, "sse.last_event_id"), "sse.last_event_id", codecs.wrappers);
  return {
    form,
    id: printed("sse.id", id),
    event: printed("sse.event", event),
    lastEventId,
    retryMs,
    heartbeatMs,
  };
}

function requireText(field: Field, key: string, wrappers: OwnWrappers): void {
  if (field.repeated || !isTextBindable(field, wrappers))
    throw new RouteError(`${key}: "${field.name}" must be one text, number or enum`);
}

/** Puts JSON responses into the envelope of the dialect, where it has one. Raw bodies (`google.api.HttpBody`) stay. */
function enveloped(plan: ResponsePlan, output: MessageType, { renderSuccess }: Dialect): ResponsePlan {
  if (renderSuccess === undefined) return plan;
  if (output.fields.length === 0) {
    const bare = { contentType: "application/json", body: renderSuccess(undefined) };
    return { empty: false, raw: false, decode: () => bare, decodeInTurns: () => bare };
  }
  const put = ({ contentType, body }: ResponseBody): ResponseBody => ({
    contentType,
    body: typeof body === "string" ? renderSuccess(body) : body,
  });
  return {
    empty: false,
    raw: plan.raw,
    decode: message => put(plan.decode(message)),
    decodeInTurns: message => {
      const decoded = plan.decodeInTurns(message);
      return whenReady(decoded, put);
    },
  };
}

/** The path of an RPC as compilers of protos name it. */
const plainPath = /^\/\w[\w.]*\/\w+$/;

function isPlainPath(path: string): boolean {
  return path.length <= templateLimits.length && plainPath.test(path);
}

function templateOf({ rule, prefix, method }: MethodRule, parts: TemplateParts | undefined): Template {
  if (rule.template === method.path && prefix === "" && isPlainPath(method.path)) return pathTemplate(method);
  try {
    const template = parseTemplate(rule.template, parts);
    return prefix === "" ? template : prefixTemplate(prefix, template);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new RouteError(`template "${rule.template}": ${error.message} (at character ${error.offset + 1})`);
  }
}

/** The template of the RPC path of a method. */
function pathTemplate({ path, name, service }: MethodType): Template {
  const segments: Segment[] = [
    { kind: "literal", value: service.fullName },
    { kind: "literal", value: name },
  ];
  return { text: path, segments, variables: [], verb: undefined };
}

/** The fields from the request down to the one that a template variable sets. */
function variablePath(input: MessageType, names: readonly string[], wrappers: OwnWrappers): readonly Field[] {
  const variable = `{${names.join(".")}}`;
  const path: Field[] = [];
  let message: MessageType | undefined = input;
  for (const name of names) {
    if (message === undefined || path.at(-1)?.repeated === true || isWellKnown(message, wrappers)) {
      const parent = path.at(-1);
      throw new RouteError(
        `${variable}: "${parent?.name}" is not a singular message, so it has no field "${name}"`,
      );
    }
    const field: Field | undefined = message.field(name);
    if (field === undefined) {
      const near = nearest(
        name,
        message.fields.map(each => each.name),
      );
      throw new RouteError(`${variable}: ${message.fullName} has no field "${name}"`, near);
    }
    path.push(field);
    message = field.message;
  }
  const leaf = path.at(-1) as Field;
  if (leaf.repeated || !isTextBindable(leaf, wrappers)) {
    const what = leaf.map !== undefined ? "a map" : leaf.repeated ? "repeated" : "a message";
    throw new RouteError(`${variable}: "${leaf.name}" is ${what} and cannot come from the path`);
  }
  return path;
}

/** `{a}` and `{a.b}` would write one field twice. */
function refuseOverlap(variables: readonly (readonly Field[])[]): void {
  for (const inner of variables) {
    const outer = variables.find(
      path =>
        path !== inner && path.length < inner.length && path.every((field, index) => field === inner[index]),
    );
    if (outer === undefined) continue;
    const text = (path: readonly Field[]): string => `{${path.map(field => field.name).join(".")}}`;
    throw new RouteError(`${text(outer)} and ${text(inner)} bind the same field`);
  }
}

const bodyNone: BodyTarget = { kind: "none" };
const bodyAll: BodyTarget = { kind: "all" };

function bodyTarget(input: MessageType, name: string, variables: readonly (readonly Field[])[]): BodyTarget {
  if (name === "") return bodyNone;
  if (name === "*") return bodyAll;
  const field = topLevel(input, name, "body");
  if (variables.some(path => path.length === 1 && path[0] === field)) {
    throw new RouteError(`body: "${name}" is bound by the path already`);
  }
  return { kind: "field", field };
}

function topLevel(message: MessageType, name: string, key: string): Field {
  const field = message.field(name);
  if (field !== undefined) return field;
  const near = nearest(
    name,
    message.fields.map(each => each.name),
  );
  throw new RouteError(`${key}: ${message.fullName} has no top-level field "${name}"`, near);
}
