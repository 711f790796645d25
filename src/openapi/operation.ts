import type { BuiltInRoute, LocalOperation } from "../bindings/built-in-route.js";
import { authOf, limitsOf } from "../bindings/conditions.js";
import type { Route } from "../bindings/route.js";
import { limitHeaders, requestBody, successes } from "./bodies.js";
import { describeComment, summaryOf, wordsOf } from "./comment.js";
import { type Parameter, pathParameters, queryParameters } from "./parameters.js";
import type { ApiPath } from "./path.js";
import { reasonsOf } from "./reasons.js";
import type { Responses } from "./responses.js";
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
  const { parameters: query, rivals, beside } = queryParameters(route, schemas);
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
    ...(rivals.length === 0 ? {} : { "x-protogate-oneofs": rivals }),
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
