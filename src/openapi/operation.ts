import type { BuiltInRoute, LocalOperation } from "../bindings/built-in-route.js";
import { authOf, conditionsOf, limitsOf, type RouteChecks } from "../bindings/conditions.js";
import type { Route } from "../bindings/route.js";
import { type Reason, reasons } from "../status/reasons.js";
import { limitHeaders, requestBody, successes } from "./bodies.js";
import { describeComment, summaryOf, wordsOf } from "./comment.js";
import { type Parameter, pathParameters, queryParameters } from "./parameters.js";
import type { ApiPath } from "./path.js";
import type { Responses } from "./responses.js";
import type { Schemas } from "./schemas.js";
import type { Security } from "./security.js";
import type { ApiSource } from "./source.js";

/** An Operation Object of OpenAPI. */
export type Operation = { readonly [key: string]: unknown };

/** The inputs of operations. */
export interface OperationParts {
  readonly source: ApiSource;
  readonly schemas: Schemas;
  readonly responses: Responses;
  readonly security: Security;
}

/**
 * @param id unique among all operations
 * @param names of the parameters in the path of the operation
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
  const { parameters: query, alternatives, beside } = queryParameters(route, schemas);
  const parameters = [...pathParameters(route, path, names, schemas), ...query, ...headers(route)];
  const description = [
    comment,
    rpc.clientStreaming || rpc.serverStreaming ? "Also over a WebSocket on this path." : "",
    beside.length === 0 ? "" : `The query also takes ${beside.join(", and ")}.`,
  ].filter(text => text !== "");
  const body = requestBody(route, schemas, source.uploads !== undefined);
  const limited = limitsOf(route).length > 0;
  const possible = reasonsOf(route, source.checks, source.uploads !== undefined);
  const succeeded = successes(route, schemas, responses, limited);
  return {
    operationId: id,
    tags: [rpc.service.fullName],
    summary: summaryOf(comment) || wordsOf(rpc.name),
    ...(description.length === 0 ? {} : { description: description.join("\n\n") }),
    ...(rpc.deprecated || rpc.service.deprecated ? { deprecated: true } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(alternatives.length === 0 ? {} : { "x-protogate-oneofs": alternatives }),
    ...(body === undefined ? {} : { requestBody: body }),
    responses: responses.all(succeeded, policy.dialect, possible, limited),
    security: security.requirements(authOf(route, source.checks.auth)),
    "x-protogate-rpc": rpc.path,
    "x-protogate-upstream": upstream,
    ...(rpc.clientStreaming || rpc.serverStreaming ? { "x-protogate-websocket": true } : {}),
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
  const possible = reasonsOf(route, source.checks, false);
  const schema = operation.response && (dialect.successSchema?.(operation.response) ?? operation.response);
  const content = schema === undefined ? {} : { content: { "application/json": { schema } } };
  return {
    operationId: operation.id,
    tags: [operation.tag.name],
    summary: operation.summary,
    ...(operation.description === undefined ? {} : { description: operation.description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(operation.body === undefined
      ? {}
      : { requestBody: { required: true, content: { "application/json": { schema: operation.body } } } }),
    responses: responses.all(
      { "200": { description: "OK", ...limitHeaders(limited), ...content } },
      dialect,
      possible,
      limited,
    ),
    security: security.requirements(authOf(route, source.checks.auth)),
  };
}

/** Headers that the route reads: those that its dialect demands, and those that go to the backend. */
function headers({ method, policy }: Route): Parameter[] {
  const accept = policy.dialect.accept?.header;
  const required: Parameter[] =
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
  return required;
}

/** Everything that a request of a route can be refused for by the gateway, in the order of the table of reasons. */
function reasonsOf(route: Route | BuiltInRoute, checks: RouteChecks, uploads: boolean): readonly Reason[] {
  const found = new Set<Reason>(conditionsOf(route, checks).map(({ reason }) => reason));
  const add = (...names: readonly Reason[]): void => {
    for (const name of names) found.add(name);
  };
  add("INTERNAL", "URI_TOO_LONG");
  if (authOf(route, checks.auth) !== "none")
    add("CREDENTIALS_INVALID", "TOKEN_EXPIRED", "TOKEN_MALFORMED", "TOKEN_NOT_YET_VALID", "AUTH_UNAVAILABLE");
  if (found.has("POLICY_DENIED")) add("SCOPE_MISSING");
  if (limitsOf(route).length > 0) add("TOO_MANY_CONCURRENT", "RATE_LIMIT_UNAVAILABLE");
  if (found.has("MISSING_HEADER")) add("INVALID_HEADER");
  if (route.kind === "local") add(...(route.handler.operation?.reasons ?? []));
  if (route.kind === "rpc") addShape(route, uploads, add);
  return (Object.keys(reasons) as Reason[]).filter(reason => found.has(reason));
}

function addShape(route: Route, uploads: boolean, add: (...names: readonly Reason[]) => void): void {
  const { body, policy, template, rpc, request, stream } = route;
  if (template.variables.length > 0) add("MALFORMED_PATH", "INVALID_VALUE", "FIELD_COLLISION");
  if (policy.query.unknown === "reject") add("UNKNOWN_PARAMETER");
  if (body.kind !== "all") add("MALFORMED_QUERY", "INVALID_VALUE", "REPEATED_PARAMETER");
  if (body.kind === "none") add("UNEXPECTED_BODY");
  else if (!request.takesRawBody) {
    add("MALFORMED_JSON", "DUPLICATE_KEY", "TOO_DEEP", "INVALID_VALUE");
    if (policy.json.unknownFields === "reject") add("UNKNOWN_FIELD");
    if (uploads) add("MALFORMED_FORM");
  }
  if (rpc.input.oneofs.length > 0) add("ONEOF_CONFLICT");
  if (stream !== undefined) add("NOT_ACCEPTABLE");
  add("INVALID_TIMEOUT", "UPSTREAM_UNAVAILABLE", "UPSTREAM_TIMEOUT", "UPSTREAM_PROTOCOL");
  add("UPSTREAM_MALFORMED_MESSAGE", "RESPONSE_TOO_LARGE", "REQUEST_TOO_LARGE");
}
