import type { Route } from "../bindings/route.js";
import type { StreamForm } from "../bindings/stream-config.js";
import { isHttpBody } from "../codec/http-body.js";
import { isTextBindable } from "../codec/json-to-wire/text-value.js";
import { EMPTY, noWrappers } from "../codec/well-known.js";
import type { Field, MessageType } from "../descriptors/model.js";
import type { JsonSchema } from "../dialects/dialect.js";
import { nameOf, nullSchema } from "./member-names.js";
import { type ResponseObject, type Responses, rateLimitHeaders } from "./responses.js";
import { requiresOne } from "./rules.js";
import { isRequired, type Schemas } from "./schemas.js";

/** What is known of a body without looking into it. */
const anyBytes = { "*/*": { schema: { type: "string", format: "binary" } } };

/**
 * The Request Body Object of a route; undefined where it takes none.
 * @param forms whether forms are taken
 */
export function requestBody(route: Route, schemas: Schemas, forms: boolean): ResponseObject | undefined {
  const { body, rpc, policy, request, variables } = route;
  if (body.kind === "none") return undefined;
  if (request.takesRawBody) return { description: "Any bytes, of any content type.", content: anyBytes };
  const depth = body.kind === "all" ? 0 : 1;
  const within = variables.filter(path => body.kind === "all" || path[0] === body.field);
  const without = new Set(within.filter(path => path.length === depth + 1).map(path => path[depth] as Field));
  const type = body.kind === "all" ? rpc.input : body.field.repeated ? undefined : body.field.message;
  const schema =
    type === undefined && body.kind === "field"
      ? schemas.field(body.field, "read", policy)
      : schemas.body(type as MessageType, without, policy);
  const required =
    body.kind === "all"
      ? rpc.input.fields.some(field => !without.has(field) && isRequired(field, policy)) ||
        (policy.validate && rpc.input.oneofs.some(requiresOne))
      : isRequired(body.field, policy);
  const bound = within.map(
    path =>
      `\`${path
        .slice(depth)
        .map(field => nameOf(field, policy.json))
        .join(".")}\``,
  );
  const description = [
    bound.length === 0
      ? ""
      : `The path sets ${bound.join(", ")}; the body may repeat that, but not change it.`,
    rpc.clientStreaming ? "Any number of messages: an array, or one after the other." : "",
  ].filter(text => text !== "");
  const nullable = body.kind === "field" && !required;
  const whole = nullable ? { anyOf: [schema, nullSchema] } : schema;
  return {
    ...(description.length === 0 ? {} : { description: description.join("\n\n") }),
    ...(required && !rpc.clientStreaming ? { required } : {}),
    content: {
      ...(rpc.clientStreaming
        ? { ...json({ type: "array", items: schema }), ...lines("application/x-ndjson", schema) }
        : json(whole)),
      ...(forms && type !== undefined ? formContent(type, without, schemas, policy) : {}),
    },
  };
}

/** Forms: each part or parameter is a field of the message, a file one of `bytes` or HttpBody. */
function formContent(
  type: MessageType,
  without: ReadonlySet<Field>,
  schemas: Schemas,
  policy: Route["policy"],
): ResponseObject {
  const wrappers = policy.json.wrappers ?? noWrappers;
  const texts: Record<string, JsonSchema> = Object.create(null);
  const parts: Record<string, JsonSchema> = Object.create(null);
  const encoding: Record<string, ResponseObject> = Object.create(null);
  let files = false;
  for (const field of type.fields) {
    if (without.has(field)) continue;
    const name = nameOf(field, policy.json);
    const isFile = field.map === undefined && (field.kind === "bytes" || isHttpBody(field.message));
    const schema = isFile ? { type: "string", format: "binary" } : schemas.field(field, "read", policy);
    files ||= isFile;
    parts[name] = isFile && field.repeated ? { type: "array", items: schema } : schema;
    if (isFile) continue;
    if (field.map === undefined && isTextBindable(field, wrappers)) texts[name] = schema;
    else encoding[name] = { contentType: "application/json" };
  }
  const known = policy.query.unknown === "reject" ? { additionalProperties: false } : {};
  const multipart = {
    schema: { type: "object", properties: parts, ...known },
    ...(Object.keys(encoding).length === 0 ? {} : { encoding }),
  };
  return {
    ...(Object.keys(texts).length > 0 && !files
      ? { "application/x-www-form-urlencoded": { schema: { type: "object", properties: texts, ...known } } }
      : {}),
    ...(files ? { "multipart/form-data": multipart } : {}),
  };
}

/** The responses of a success, by status. */
export function successes(
  route: Route,
  schemas: Schemas,
  responses: Responses,
  limited: boolean,
): Record<string, ResponseObject> {
  const { rpc, policy, response, responseField, stream } = route;
  const headers = limitHeaders(limited);
  if (response.raw) return { "200": { description: "OK", ...headers, content: anyBytes } };
  if (response.empty && policy.emptyStatus === 204 && stream === undefined)
    return { "204": { description: "No Content", ...headers } };
  const message =
    responseField === undefined
      ? rpc.output.fullName === EMPTY
        ? { type: "object" }
        : schemas.message(rpc.output, "printed", policy)
      : schemas.field(responseField, "printed", policy);
  const chosen =
    policy.successStatus === undefined
      ? {}
      : { "2XX": { description: "As the backend chooses.", content: json(message) } };
  if (stream !== undefined) {
    const failure = responses.schema(policy.dialect);
    const content = streamContent(message, failure, schemas, policy.dialect.name, stream.form);
    return { "200": { description: streamText, ...headers, content } };
  }
  const { successSchema } = policy.dialect;
  const schema = successSchema === undefined ? message : successSchema(response.empty ? undefined : message);
  return { "200": { description: "OK", ...headers, content: json(schema) }, ...chosen };
}

const streamText =
  "The messages as they come, in the form that Accept asks for. A failure behind the first message stands in the stream.";

/** The forms of a stream, that for clients without Accept first. */
function streamContent(
  message: JsonSchema,
  failure: JsonSchema,
  schemas: Schemas,
  dialect: string,
  first: StreamForm,
): ResponseObject {
  const error = schemas.own(`${dialect}-stream-error`, {
    type: "object",
    description: "The end of a stream that fails.",
    properties: { error: failure },
    required: ["error"],
  });
  const wrapped =
    first === "grpc-gateway"
      ? { type: "object", properties: { result: message }, required: ["result"] }
      : message;
  const element = { anyOf: [wrapped, error] };
  const array =
    first === "grpc-gateway" ? lines("application/json", element) : json({ type: "array", items: element });
  const ndjson = lines("application/x-ndjson", { anyOf: [message, error] });
  const events = lines("text/event-stream", { anyOf: [message, error] });
  const ordered =
    first === "sse"
      ? [events, array, ndjson]
      : first === "ndjson"
        ? [ndjson, array, events]
        : [array, ndjson, events];
  return Object.assign({}, ...ordered);
}

/** A text of which each line, or the data of each event, is JSON. */
function lines(type: string, schema: JsonSchema): ResponseObject {
  return {
    [type]: {
      schema: {
        type: "string",
        contentMediaType: "application/json",
        contentSchema: schema,
        description: type === "text/event-stream" ? "The data of each event." : "Each line.",
      },
    },
  };
}

export function limitHeaders(limited: boolean): ResponseObject {
  return limited ? { headers: rateLimitHeaders } : {};
}

function json(schema: JsonSchema): ResponseObject {
  return { "application/json": { schema } };
}
