import { createHash } from "node:crypto";
import type { BuiltInRoute } from "../bindings/built-in-route.js";
import type { Route } from "../bindings/route.js";
import type { EnumType, MessageType, MethodType } from "../descriptors/model.js";
import type { Steps } from "../net/pace.js";
import { describeComment } from "./comment.js";
import { localOperation, type Operation, type OperationParts, rpcOperation } from "./operation.js";
import { type ApiPath, apiPath } from "./path.js";
import { Responses } from "./responses.js";
import { Schemas, type TypeUse } from "./schemas.js";
import { Security } from "./security.js";
import type { ApiSource } from "./source.js";

/** An OpenAPI Object, version 3.1. */
export type Document = { readonly [key: string]: unknown };

/** A route that OpenAPI cannot express, and why. */
export interface UnlistedRoute {
  readonly method: string;
  readonly template: string;
  readonly rpc?: string;
  readonly reason: string;
}

/** The methods that a Path Item Object has. */
const listed = new Set(["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"]);

/** What making one operation costs. */
const operationUnits = 100;

interface PathItem {
  readonly text: string;
  readonly names: readonly string[];
  readonly operations: Record<string, Operation>;
}

/** Describes routes as OpenAPI. The same for the same source, to the byte. */
export function* describeApi(source: ApiSource): Steps<Document> {
  const schemas = new Schemas(yield* typeUse(source.routes));
  const responses = new Responses(schemas);
  const security = new Security(source.providers);
  const parts: OperationParts = { source, schemas, responses, security };
  const items = new Map<string, PathItem>();
  const unlisted: UnlistedRoute[] = [];
  const tags = new Map<string, string>();
  const ids = new Map<MethodType, number>();
  for (const route of [...source.routes, ...source.builtIn]) {
    yield operationUnits;
    const path = placeOf(route);
    if (typeof path === "string") {
      unlisted.push(unlistedRoute(route, path));
      continue;
    }
    const item = items.get(path.key) ?? {
      text: path.text,
      names: path.parameters.map(({ name }) => name),
      operations: {},
    };
    items.set(path.key, item);
    const method = route.method.toLowerCase();
    if (route.kind === "rpc") {
      const { rpc } = route;
      const count = (ids.get(rpc) ?? 0) + 1;
      ids.set(rpc, count);
      const id = count === 1 ? rpc.fullName : `${rpc.fullName}-${count}`;
      tags.set(rpc.service.fullName, describeComment(rpc.service.comment));
      item.operations[method] = rpcOperation(route, id, path, item.names, parts);
    } else if (route.kind === "local" && route.handler.operation !== undefined) {
      const { operation } = route.handler;
      tags.set(operation.tag.name, operation.tag.description);
      item.operations[method] = localOperation(route, operation, path, item.names, parts);
    }
  }
  yield* schemas.complete();
  const rest = {
    servers: [{ url: "/" }],
    tags: sorted(tags).map(([name, description]) => (description === "" ? { name } : { name, description })),
    paths: Object.fromEntries(
      [...items.values()]
        .sort((one, two) => compare(one.text, two.text))
        .map(({ text, operations }) => [text, operations]),
    ),
    components: {
      schemas: Object.fromEntries(sorted(schemas.components)),
      responses: Object.fromEntries(sorted(responses.components)),
      ...(security.components.size === 0
        ? {}
        : { securitySchemes: Object.fromEntries(sorted(security.components)) }),
    },
    ...(unlisted.length === 0 ? {} : { "x-protogate-unlisted": unlisted }),
  };
  return { openapi: "3.1.1", info: { title: source.title, version: versionOf(rest) }, ...rest };
}

/** Where a route stands in a document; a text: why it stands nowhere. */
function placeOf(route: Route | BuiltInRoute): ApiPath | string {
  if (route.kind === "pass-through")
    return `requests are forwarded to the upstream ${route.passThrough.upstream}, whose operations the gateway does not know`;
  if (route.kind === "local" && route.handler.operation === undefined)
    return "it is served by the gateway itself and is no operation of the API";
  if (!listed.has(route.method)) return `OpenAPI has no operations for the method ${route.method}`;
  return apiPath(route.template);
}

function unlistedRoute(route: Route | BuiltInRoute, reason: string): UnlistedRoute {
  const { method, template } = route;
  const rpc = route.kind === "rpc" ? { rpc: route.rpc.fullName } : {};
  return { method, template: template.text, ...rpc, reason };
}

/** All types that requests and responses hold. */
function* typeUse(routes: readonly Route[]): Steps<TypeUse> {
  const read = new Set<MessageType | EnumType>();
  const printed = new Set<MessageType | EnumType>();
  for (const { rpc } of routes) {
    yield* addTypes(rpc.input, read);
    yield* addTypes(rpc.output, printed);
  }
  return { read, printed };
}

function* addTypes(root: MessageType, into: Set<MessageType | EnumType>): Steps {
  const waiting = [root];
  for (let type = waiting.pop(); type !== undefined; type = waiting.pop()) {
    if (into.has(type)) continue;
    into.add(type);
    for (const field of type.fields) {
      if (field.message !== undefined) waiting.push(field.message);
      if (field.enum !== undefined) into.add(field.enum);
    }
    yield type.fields.length;
  }
}

/** By what the document says: it changes when the API does. */
function versionOf(rest: unknown): string {
  return createHash("sha256").update(JSON.stringify(rest)).digest("hex").slice(0, 12);
}

function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([one], [two]) => compare(one, two));
}

/** By code units, whatever the locale. */
function compare(one: string, two: string): number {
  return one < two ? -1 : one > two ? 1 : 0;
}
