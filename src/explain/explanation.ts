import type { BuiltInRoute } from "../bindings/built-in-route.js";
import { conditionsOf, type RouteChecks, type RouteCondition } from "../bindings/conditions.js";
import { requireJsonType } from "../bindings/json-body.js";
import type { Route } from "../bindings/route.js";
import { describeRoute, type RouteDescription } from "../bindings/route-description.js";
import { createCodecs } from "../codec/codecs.js";
import { requestFailure, TranscodeError } from "../codec/error.js";
import { eachParameter, resolveParameter } from "../codec/json-to-wire/query.js";
import { noWrappers } from "../codec/well-known.js";
import type { Field, MessageType, Model } from "../descriptors/model.js";
import { createPace } from "../net/pace.js";
import type { Candidate } from "../routing/explanation.js";
import type { Router } from "../routing/router.js";
import { lookUpRoute, type RouteLookup } from "../routing/router.js";
import { GatewayError } from "../status/failure.js";
import { type Reason, reasons } from "../status/reasons.js";
import { formKind } from "../uploads/forms.js";
import type { Validate } from "../validation/validator.js";
import { type GuardDescription, type GuardSource, guardOf } from "./guard.js";

/** A request as a person has written it. Nothing is called for it. */
export interface WrittenRequest {
  /** In upper case. */
  readonly method: string;
  /** Path and query, raw. */
  readonly target: string;
  /** Undefined where there is no such header. */
  header(name: string): string | undefined;
  /** Undefined where the body is not known. */
  readonly body: Uint8Array | undefined;
}

/** The source of explanations: the routes of one listener in one generation. */
export interface ExplainSource extends GuardSource {
  readonly model: Model;
  readonly router: Router<Route | BuiltInRoute>;
  readonly checks: RouteChecks;
  readonly validators: ReadonlyMap<MessageType, Validate>;
}

/** Where one value of the request goes. */
interface Placement {
  readonly from: "path" | "query";
  readonly name: string;
  readonly value: string;
  /** The request field with its type; how the value is treated where there is none. */
  readonly to: string;
}

/** Why a request is refused before any call. */
interface Refusal {
  readonly status: number;
  readonly reason: string;
  /** Empty where it is not for one field. */
  readonly field: string;
  readonly message: string;
}

export interface Explanation extends Partial<GuardDescription> {
  readonly method: string;
  readonly path: string;
  readonly outcome: RouteLookup<Route | BuiltInRoute>["kind"];
  readonly route?: RouteDescription;
  readonly values?: readonly Placement[];
  readonly body?: string;
  /** The request message, as JSON: of path and query, and of the body where there is one. */
  readonly request?: unknown;
  /** Its full name. */
  readonly request_type?: string;
  /** Details that the message does not show. */
  readonly note?: string;
  readonly refused?: Refusal;
  /** The conditions that can still refuse the request. */
  readonly conditions?: readonly RouteCondition[];
  readonly allow?: readonly string[];
  readonly others: readonly { readonly method: string; readonly template: string; readonly reason: string }[];
}

/** Characters of a message that are shown. */
const maxMessageChars = 64 * 1024;

/**
 * Which route serves a request, which field each value goes to, its guard, and why similar routes do not match. No
 * backend and no provider is called, and no credential is repeated.
 */
export async function explainRequest(source: ExplainSource, request: WrittenRequest): Promise<Explanation> {
  const { method, target } = request;
  const mark = target.indexOf("?");
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? "" : target.slice(mark + 1);
  const found = lookUpRoute(source.router, method, path);
  const others =
    found.kind === "malformed"
      ? []
      : otherRoutes(await source.router.explainInTurns(method, path, createPace()));
  const base = { method, path, outcome: found.kind, others };
  switch (found.kind) {
    case "found":
      return {
        ...base,
        ...explainMatch(source, found.value, { variables: found.variables, query, request }),
      };
    case "options":
    case "method":
      return { ...base, allow: found.allow };
    case "malformed":
      return { ...base, refused: refusal("MALFORMED_PATH", found.message) };
    case "none":
      return base;
  }
}

interface MatchedRequest {
  readonly variables: readonly string[];
  readonly query: string;
  readonly request: WrittenRequest;
}

function explainMatch(
  source: ExplainSource,
  route: Route | BuiltInRoute,
  matched: MatchedRequest,
): Omit<Explanation, "method" | "path" | "outcome" | "others"> {
  const { description, secretParameters } = guardOf(source, route, matched.request.header, matched.query);
  const conditions = conditionsOf(route, source.checks);
  const described = { route: describeRoute(route), conditions, ...description };
  if (route.kind !== "rpc") return { ...described, body: "the response as it is" };
  if (!route.rest)
    return {
      ...described,
      body: `a message in ${route.protocols.join(", ")}`,
      conditions: conditions.filter(({ reason }) => reason !== "UNSUPPORTED_MEDIA_TYPE"),
    };
  return { ...described, ...explainMessage(source, route, matched, secretParameters) };
}

function explainMessage(
  source: ExplainSource,
  route: Route,
  { variables, query, request }: MatchedRequest,
  secret: ReadonlySet<string>,
): Pick<Explanation, "values" | "body" | "request" | "request_type" | "note" | "refused"> {
  const { body } = route;
  const taken =
    body.kind === "none" ? "not taken" : body.kind === "all" ? "the whole request" : fieldText([body.field]);
  const values: Placement[] = route.variables.map((fields, index) => ({
    from: "path",
    name: `{${route.template.variables[index]?.path.join(".")}}`,
    value: variables[index] ?? "",
    to: fieldText(fields),
  }));
  const described = { values, body: taken };
  const given = bodyOf(route, request);
  try {
    eachParameter(query, (name, value) =>
      values.push({
        from: "query",
        name,
        value: secret.has(name) ? "[hidden]" : value,
        to: destination(route, name),
      }),
    );
    if (given.bytes.length > route.policy.bodyLimit)
      return {
        ...described,
        refused: refusal("BODY_TOO_LARGE", `the body is larger than ${route.policy.bodyLimit} bytes`),
      };
    if (given.json && given.contentType !== "" && !route.policy.anyContentType)
      requireJsonType(given.contentType);
    const bytes = route.request.encode(variables, query, given);
    return {
      ...described,
      ...messageOf(source, route, bytes),
      ...noteOf(given.note),
      ...violationOf(source, route, bytes),
    };
  } catch (error) {
    if (error instanceof GatewayError) {
      const { httpStatus: status, reason, message } = error.failure;
      return { ...described, refused: { status, reason, field: "", message } };
    }
    if (!(error instanceof TranscodeError)) throw error;
    // A field that neither path nor query touches may come with the body.
    const touched = values.some(({ to, name }) => to.startsWith(`${error.field} `) || name === error.field);
    if (request.body === undefined && body.kind !== "none" && error.field !== "" && !touched)
      return described;
    const { field, message, suggestion } = error;
    const { reason, httpStatus } = requestFailure(error);
    const hint = suggestion === undefined ? "" : `; did you mean "${suggestion}"?`;
    return { ...described, refused: { status: httpStatus, reason, field, message: `${message}${hint}` } };
  }
}

interface GivenBody {
  readonly contentType: string;
  readonly bytes: Uint8Array;
  /** Whether it must be JSON. */
  readonly json: boolean;
  readonly note: string;
}

const nothing = new Uint8Array(0);

/** The part of a body that can be decoded here, and a note about the rest. */
function bodyOf(route: Route, { body = nothing, header }: WrittenRequest): GivenBody {
  const contentType = header("content-type") ?? "";
  if (body.length === 0) return { contentType: "", bytes: nothing, json: false, note: "" };
  if (route.request.takesRawBody)
    return { contentType, bytes: body, json: false, note: "The body goes into the message as it is." };
  if (formKind(contentType) !== undefined && route.body.kind !== "none")
    return {
      contentType: "",
      bytes: nothing,
      json: false,
      note: "The parts of a form go to the fields of their names; they are not shown here.",
    };
  if (!route.rpc.clientStreaming) return { contentType, bytes: body, json: true, note: "" };
  const first = firstLine(body);
  if (first === undefined)
    return {
      contentType: "",
      bytes: nothing,
      json: false,
      note: "Each element of the array is a message; only path and query are shown here.",
    };
  return {
    contentType: "application/json",
    bytes: first,
    json: true,
    note: "The method takes a stream of messages; this is the first one.",
  };
}

/** The first message of a stream in lines; undefined for an array. */
function firstLine(body: Uint8Array): Uint8Array | undefined {
  const end = body.indexOf(0x0a);
  const line = end < 0 ? body : body.subarray(0, end);
  return body[0] === 0x5b ? undefined : line;
}

function messageOf(
  { model }: ExplainSource,
  { rpc, policy }: Route,
  bytes: Uint8Array,
): Pick<Explanation, "request" | "request_type" | "note"> {
  const text = createCodecs(model, policy.json).message(rpc.input).decode(bytes);
  const type = { request_type: rpc.input.fullName };
  return text.length <= maxMessageChars
    ? { ...type, request: JSON.parse(text) }
    : { ...type, note: `The message is ${text.length} characters of JSON, too long to be shown.` };
}

function noteOf(note: string): Pick<Explanation, "note"> {
  return note === "" ? {} : { note };
}

function violationOf(
  { validators }: ExplainSource,
  { rpc, policy }: Route,
  bytes: Uint8Array,
): Pick<Explanation, "refused"> {
  const validate = policy.validate ? validators.get(rpc.input) : undefined;
  const [first, ...more] = validate?.(bytes) ?? [];
  if (first === undefined) return {};
  const others = more.length === 0 ? "" : `, and ${more.length} more`;
  return {
    refused: { ...refusal("VALIDATION_FAILED", `${first.description}${others}`), field: first.field },
  };
}

function refusal(reason: Reason, message: string): Refusal {
  return { status: reasons[reason].httpStatus, reason, field: "", message };
}

function destination(route: Route, name: string): string {
  if (route.policy.query.ignore.has(name)) return "ignored (by the configuration)";
  const resolution = resolveParameter(route.rpc.input, name, route.policy.json.wrappers ?? noWrappers);
  if (resolution.kind === "target") {
    const { path, part } = resolution.target;
    return fieldText(part === undefined ? path : [...path, part]);
  }
  return resolution.kind === "unknown" && route.policy.query.unknown === "ignore"
    ? "ignored (no such field)"
    : "refused";
}

/** `message.author.login (string)` */
function fieldText(fields: readonly Field[]): string {
  const leaf = fields[fields.length - 1] as Field;
  const type = leaf.message?.fullName ?? leaf.enum?.fullName ?? leaf.kind;
  const shown = leaf.map === undefined ? type : "map";
  return `${fields.map(field => field.name).join(".")} (${leaf.repeated && leaf.map === undefined ? "repeated " : ""}${shown})`;
}

/** Other routes that match, and similar ones: at least half of their segments fit. */
function otherRoutes(candidates: readonly Candidate<Route | BuiltInRoute>[]): Explanation["others"] {
  return candidates
    .filter(({ outcome, matched, template }) =>
      outcome === "path" ? matched * 2 >= template.segments.length : outcome !== "found",
    )
    .map(({ method, template, reason }) => ({ method, template: template.text, reason }));
}
