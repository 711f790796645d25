import type { Route } from "../bindings/route.js";
import type { StreamForm } from "../bindings/stream-config.js";
import { isHttpBody } from "../codec/http-body.js";
import { isTextBindable } from "../codec/json-to-wire/text-value.js";
import { EMPTY, noWrappers } from "../codec/well-known.js";
import type { Field, MessageType } from "../descriptors/model.js";
import type { JsonSchema } from "../dialects/dialect.js";
import { fieldExample, messageExample, noExample } from "./examples.js";
import { nameOf, nullSchema } from "./member-names.js";
import { type ResponseObject, type Responses, rateLimitHeaders } from "./responses.js";
import { requiresOne } from "./rules.js";
import { isRequired, type Schemas } from "./schemas.js";

/** The content of a body of unknown type. */
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
  const example =
    type === undefined && body.kind === "field"
      ? fieldExample(body.field, "read", policy)
      : messageExample(type as MessageType, "read", policy, without);
  const nullable = body.kind === "field" && !required;
  const whole = nullable ? { anyOf: [schema, nullSchema] } : schema;
  return {
    ...(description.length === 0 ? {} : { description: description.join("\n\n") }),
    ...(required && !rpc.clientStreaming ? { required } : {}),
    content: {
      ...(rpc.clientStreaming
        ? {
            ...json({ type: "array", items: schema }, listOf(example)),
            ...lines("application/x-ndjson", schema, example),
          }
        : json(whole, example)),
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
  const example =
    responseField === undefined
      ? messageExample(rpc.output, "printed", policy)
      : fieldExample(responseField, "printed", policy);
  const chosen =
    policy.successStatus === undefined
      ? {}
      : { "2XX": { description: "As the backend chooses.", content: json(message, example) } };
  if (stream !== undefined) {
    const failure = responses.schema(policy.dialect);
    const content = streamContent({ message, example }, failure, schemas, policy.dialect.name, stream.form);
    return { "200": { description: streamText, ...headers, content } };
  }
  const { successSchema, renderSuccess } = policy.dialect;
  const schema = successSchema === undefined ? message : successSchema(response.empty ? undefined : message);
  const body =
    renderSuccess === undefined || example === noExample
      ? example
      : JSON.parse(renderSuccess(response.empty ? undefined : JSON.stringify(example)));
  return { "200": { description: "OK", ...headers, content: json(schema, body) }, ...chosen };
}

function listOf(example: unknown): unknown {
  return example === noExample ? noExample : [example];
}

const streamText =
  "The messages as they come, in the form that Accept asks for. A failure after the first message is in the stream.";

/** The forms of a stream, that for clients without Accept first. */
function streamContent(
  { message, example }: { readonly message: JsonSchema; readonly example: unknown },
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
    first === "grpc-gateway"
      ? lines("application/json", element, example === noExample ? example : { result: example })
      : json({ type: "array", items: element }, listOf(example));
  const ndjson = lines("application/x-ndjson", { anyOf: [message, error] }, example);
  const events = lines("text/event-stream", { anyOf: [message, error] }, example);
  const ordered =
    first === "sse"
      ? [events, array, ndjson]
      : first === "ndjson"
        ? [ndjson, array, events]
        : [array, ndjson, events];
  return Object.assign({}, ...ordered);
}

/** A text of which each line, or the data of each event, is JSON. */
function lines(type: string, schema: JsonSchema, example: unknown): ResponseObject {
  const isEvents = type === "text/event-stream";
  const text = JSON.stringify(example === noExample ? undefined : example);
  return {
    [type]: {
      schema: {
        type: "string",
        contentMediaType: "application/json",
        contentSchema: schema,
        description: isEvents ? "The data of each event." : "Each line.",
      },
      ...(text === undefined ? {} : { example: isEvents ? `data: ${text}\n\n` : `${text}\n` }),
    },
  };
}

export function limitHeaders(limited: boolean): ResponseObject {
  return limited ? { headers: rateLimitHeaders } : {};
}

function json(schema: JsonSchema, example: unknown): ResponseObject {
  return { "application/json": { schema, ...(example === noExample ? {} : { example }) } };
}
