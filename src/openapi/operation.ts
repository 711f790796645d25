import type { BuiltInRoute, LocalOperation } from "../bindings/built-in-route.js";
import { authOf, limitsOf } from "../bindings/conditions.js";
import type { Route } from "../bindings/route.js";
import { EMPTY } from "../codec/well-known.js";
import type { Field } from "../descriptors/model.js";
import type { JsonSchema } from "../dialects/dialect.js";
import { describeComment, summaryOf, wordsOf } from "./comment.js";
import { type Parameter, pathParameters, queryParameters } from "./parameters.js";
import type { ApiPath } from "./path.js";
import { reasonsOf } from "./reasons.js";
import { type ResponseObject, type Responses, rateLimitHeaders, successSchema } from "./responses.js";
import type { Schemas } from "./schemas.js";
import type { Security } from "./security.js";
import type { ApiSource } from "./source.js";

/** An Operation Object of OpenAPI. */
export type Operation = { readonly [key: string]: unknown };

/** What operations are made with. */
export interface OperationParts {
  readonly source: ApiSource;
  readonly schemas: Schemas;
  readonly responses: Responses;
  readonly security: Security;
}

/**
 * @param id unique among all operations
 * @param names of the parameters in the path under which the operation stands
 */
export function rpcOperation(
  route: Route,
  id: string,
  path: ApiPath,
  names: readonly string[],
  { source, schemas, responses, security }: OperationParts,
): Operation {
  const { rpc, policy, upstream } = route;
  const comment = describeComment(rpc.comment);
  const { parameters: query, beside } = queryParameters(route, schemas);
  const parameters = [...pathParameters(route, path, names, schemas), ...query, ...headers(route)];
  const description = [
    comment,
    beside.length === 0 ? "" : `The query also takes ${beside.join(", and ")}.`,
  ].filter(text => text !== "");
  const body = requestBody(route, schemas);
  const limited = limitsOf(route).length > 0;
  const failures = responses.failures(
    policy.dialect,
    reasonsOf(route, source.checks, source.uploads !== undefined),
    limited,
  );
  return {
    operationId: id,
    tags: [rpc.service.fullName],
    summary: summaryOf(comment) || wordsOf(rpc.name),
    ...(description.length === 0 ? {} : { description: description.join("\n\n") }),
    ...(rpc.deprecated || rpc.service.deprecated ? { deprecated: true } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: body }),
    responses: withSuccess(success(route, schemas, limited), failures),
    security: security.requirements(authOf(route, source.checks.auth)),
    "x-protogate-rpc": rpc.path,
    "x-protogate-upstream": upstream,
  };
}

/** @param path undefined where the template has no parameters */
export function localOperation(
  route: Extract<BuiltInRoute, { kind: "local" }>,
  operation: LocalOperation,
  path: ApiPath,
  names: readonly string[],
  { source, responses, security }: OperationParts,
): Operation {
  const { dialect } = route.handler;
  const described = operation.parameters ?? {};
  const inPath = path.parameters.map(({ variable }, index): Parameter => {
    const about = described[variable?.path.join(".") ?? ""];
    const schema = about?.schema ?? { type: "string", minLength: 1 };
    const description = about === undefined ? {} : { description: about.description };
    return { name: names[index] as string, in: "path", required: true, ...description, schema };
  });
  const variables = new Set(path.parameters.map(({ variable }) => variable?.path.join(".")));
  const inQuery = Object.entries(described)
    .filter(([name]) => !variables.has(name))
    .map(([name, { description, schema, required }]): Parameter => {
      return { name, in: "query", description, ...(required === true ? { required } : {}), schema };
    });
  const parameters = [...inPath, ...inQuery];
  const limited = limitsOf(route).length > 0;
  const failures = responses.failures(dialect, reasonsOf(route, source.checks, false), limited);
  const schema = dialect.successSchema?.(operation.response) ?? operation.response;
  return {
    operationId: operation.id,
    tags: [operation.tag.name],
    summary: operation.summary,
    ...(operation.description === undefined ? {} : { description: operation.description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(operation.body === undefined
      ? {}
      : { requestBody: { required: true, content: { "application/json": { schema: operation.body } } } }),
    responses: withSuccess(
      { "200": { description: "OK", ...limitHeaders(limited), content: jsonContent(schema) } },
      failures,
    ),
    security: security.requirements(authOf(route, source.checks.auth)),
  };
}

/** Headers that the route reads: those that its dialect demands, and those that go to the backend. */
function headers({ method, policy }: Route): Parameter[] {
  const accept = policy.dialect.accept?.header;
  const demanded: Parameter[] =
    accept === undefined
      ? []
      : [
          {
            name: accept.name,
            in: "header",
            description: accept.description,
            ...(accept.requiredOf.includes(method) ? { required: true } : {}),
            schema: accept.schema,
          },
        ];
  return demanded;
}

function requestBody({ body, rpc, policy, request, variables }: Route, schemas: Schemas): unknown {
  if (body.kind === "none") return undefined;
  if (request.takesRawBody)
    return {
      content: { "*/*": { schema: { type: "string", format: "binary" } } },
      description: "Any bytes.",
    };
  const depth = body.kind === "all" ? 0 : 1;
  const within = variables.filter(path => body.kind === "all" || path[0] === body.field);
  const without = new Set(within.filter(path => path.length === depth + 1).map(path => path[depth] as Field));
  const schema =
    body.kind === "all"
      ? schemas.body(rpc.input, without, policy)
      : body.field.message === undefined || body.field.repeated
        ? schemas.field(body.field, "read", policy)
        : schemas.body(body.field.message, without, policy);
  const bound = within.map(
    path =>
      `\`${path
        .slice(depth)
        .map(field => field.jsonName)
        .join(".")}\``,
  );
  return {
    ...(bound.length === 0
      ? {}
      : { description: `The path sets ${bound.join(", ")}; the body may repeat that, but not change it.` }),
    content: jsonContent(schema),
  };
}

function success(route: Route, schemas: Schemas, limited: boolean): Record<string, ResponseObject> {
  const { rpc, policy, response, responseField } = route;
  const headers = limitHeaders(limited);
  if (response.raw)
    return {
      "200": {
        description: "OK",
        ...headers,
        content: { "*/*": { schema: { type: "string", format: "binary" } } },
      },
    };
  if (response.empty && policy.emptyStatus === 204)
    return { "204": { description: "No Content", ...headers } };
  const message =
    responseField === undefined
      ? rpc.output.fullName === EMPTY
        ? { type: "object" }
        : schemas.message(rpc.output, "printed", policy)
      : schemas.field(responseField, "printed", policy);
  const schema = successSchema(route, message);
  return { "200": { description: "OK", ...headers, content: jsonContent(schema) } };
}

function limitHeaders(limited: boolean): ResponseObject {
  return limited ? { headers: rateLimitHeaders } : {};
}

function jsonContent(schema: JsonSchema): unknown {
  return { "application/json": { schema } };
}

/** Failures that a dialect sends with the status of a success stand beside it. */
function withSuccess(
  successes: Readonly<Record<string, ResponseObject>>,
  failures: ReadonlyMap<string, ResponseObject>,
): Record<string, ResponseObject> {
  const all: Record<string, ResponseObject> = { ...successes };
  for (const [status, failure] of failures) {
    const success = successes[status];
    all[status] = success === undefined ? failure : eitherOf(success, failure);
  }
  return all;
}

function eitherOf(success: ResponseObject, failure: ResponseObject): ResponseObject {
  return { ...success, "x-protogate-failure": failure };
}
