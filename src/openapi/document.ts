import type { BuiltInRoute } from "../bindings/built-in-route.js";
import type { Route } from "../bindings/route.js";
import type { EnumType, MessageType, MethodType } from "../descriptors/model.js";
import type { Steps } from "../net/pace.js";
import { describeComment } from "./comment.js";
import { localOperation, type OperationParts, rpcOperation } from "./operation.js";
import { type ApiPath, apiPath } from "./path.js";
import { Responses } from "./responses.js";
import { Schemas, type TypeUse } from "./schemas.js";
import { Security } from "./security.js";
import type { ApiSource } from "./source.js";

export const openApiVersion = "3.1.1";

/** A document of the API, the values in it as JSON: they are many, and as texts they need least memory. */
export interface DescribedApi {
  readonly title: string;
  readonly tags: readonly { readonly name: string; readonly description?: string }[];
  /** In the order of the document: operations by HTTP method in lower case. */
  readonly paths: readonly (readonly [path: string, operations: ReadonlyMap<string, string>])[];
  readonly components: readonly (readonly [kind: string, members: ReadonlyMap<string, string>])[];
  readonly unlisted: readonly UnlistedRoute[];
}

/** The document is longer than the limit. */
export class DocumentTooLarge extends Error {
  override readonly name = "DocumentTooLarge";
}

/** A route that OpenAPI cannot express, and why. */
export interface UnlistedRoute {
  readonly method: string;
  readonly template: string;
  readonly rpc?: string;
  readonly reason: string;
}

/** The methods that a Path Item Object has. */
const listed = new Set(["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"]);

/** Units for making one operation. */
const operationUnits = 250;

interface PathItem {
  readonly text: string;
  readonly names: readonly string[];
  readonly operations: Map<string, string>;
}

/**
 * Describes routes as OpenAPI. The same for the same source, to the byte.
 * @param maxChars of all operations and components together
 * @throws DocumentTooLarge
 */
export function* describeApi(source: ApiSource, maxChars: number): Steps<DescribedApi> {
  let left = maxChars;
  const written = (value: unknown): string => {
    const text = JSON.stringify(value);
    left -= text.length;
    if (left < 0) throw new DocumentTooLarge();
    return text;
  };
  const schemas = new Schemas(yield* typeUse(source.routes), written);
  const responses = new Responses(schemas, written);
  const security = new Security(source.providers);
  const parts: OperationParts = { source, schemas, responses, security };
  const items = new Map<string, PathItem>();
  const unlisted: UnlistedRoute[] = [];
  const tags = new Map<string, string>();
  const ids = new Map<MethodType, number>();
  for (const route of [...source.routes, ...source.builtIn]) {
    yield operationUnits;
    const path = pathOf(route);
    if (typeof path === "string") {
      if (route.kind !== "local" || route.handler.partOfPage !== true)
        unlisted.push(unlistedRoute(route, path));
      continue;
    }
    const item = items.get(path.key) ?? {
      text: path.text,
      names: path.parameters.map(({ name }) => name),
      operations: new Map(),
    };
    items.set(path.key, item);
    const method = route.method.toLowerCase();
    if (route.kind === "rpc") {
      const { rpc } = route;
      const count = (ids.get(rpc) ?? 0) + 1;
      ids.set(rpc, count);
      const id = count === 1 ? rpc.fullName : `${rpc.fullName}-${count}`;
      tags.set(rpc.service.fullName, describeComment(rpc.service.comment));
      item.operations.set(method, written(rpcOperation(route, id, path, item.names, parts)));
    } else if (route.kind === "local" && route.handler.operation !== undefined) {
      const { operation } = route.handler;
      tags.set(operation.tag.name, operation.tag.description);
      item.operations.set(method, written(localOperation(route, operation, path, item.names, parts)));
    }
    // The schemas it refers to are made before the next one, so that no large amount of work is left to the end.
    yield* schemas.complete();
  }
  const securitySchemes = [...security.components].map(([name, scheme]) => [name, written(scheme)] as const);
  return {
    title: source.title,
    tags: sorted(tags).map(([name, description]) => (description === "" ? { name } : { name, description })),
    paths: [...items.values()]
      .sort((one, two) => compare(one.text, two.text))
      .map(({ text, operations }) => [text, operations]),
    components: [
      ["schemas", new Map(sorted(schemas.components))],
      ["responses", new Map(sorted(responses.components))],
      ["securitySchemes", new Map(sorted(new Map(securitySchemes)))],
    ],
    unlisted,
  };
}

/** The operation of a route in a document; a text: why it has none. */
function pathOf(route: Route | BuiltInRoute): ApiPath | string {
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

function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([one], [two]) => compare(one, two));
}

/** By code units, independent of the locale. */
function compare(one: string, two: string): number {
  return one < two ? -1 : one > two ? 1 : 0;
}
