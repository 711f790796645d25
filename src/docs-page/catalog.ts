import type { ProvidersConfig } from "../auth/config.js";
import type { SecurityScheme } from "../auth/provider.js";
import { providerType } from "../auth/providers/providers.js";
import type { BuiltInRoute } from "../bindings/built-in-route.js";
import { authOf, limitsOf } from "../bindings/conditions.js";
import type { Route } from "../bindings/route.js";
import type { MethodType } from "../descriptors/model.js";
import { allowanceOf } from "../explain/guard.js";
import type { RateLimitsConfig } from "../limits/config.js";
import type { Steps } from "../net/pace.js";
import { describeComment, summaryOf } from "../openapi/comment.js";
import { apiPath } from "../openapi/path.js";
import type { ApiSource } from "../openapi/source.js";

/** The content of the page: the routes of one listener in one generation. */
export interface CatalogSource {
  readonly api: ApiSource;
  /** The paths of methods, on which other protocols than REST call them. */
  readonly methodPaths: readonly Route[];
  readonly limits: RateLimitsConfig;
  readonly rooms: RealtimeAccess | undefined;
  /** Where the page and the OpenAPI document are. */
  readonly path: string;
  readonly openapi: string;
}

/** Where sockets of rooms are opened. */
export interface RealtimeAccess {
  readonly path: string;
  /** False where sockets are for calls alone. */
  readonly rooms: boolean;
  /** `package.Service/Method` */
  readonly calls: readonly string[];
  /** Undefined where no authentication is required. */
  readonly auth: readonly string[] | undefined;
}

interface ListedOperation {
  readonly name: string;
  readonly method: string;
  readonly template: string;
  /** Its path in the OpenAPI document; undefined where it is not there, for the reason in `unlisted`. */
  readonly path?: string;
  readonly unlisted?: string;
  readonly summary: string;
  readonly comment?: string;
  /** The path of the RPC; undefined where the gateway itself serves it. */
  readonly rpc?: string;
  readonly kind?: "server" | "client" | "bidi";
  /** Whether REST may be used on it. */
  readonly rest: boolean;
  /** The other protocols on the path of the RPC. */
  readonly protocols: readonly string[];
  readonly auth?: readonly string[];
  readonly limits: readonly string[];
  readonly deprecated?: true;
}

interface ListedService {
  readonly name: string;
  readonly comment: string;
  /** Where its OpenAPI document is. */
  readonly document: string;
  readonly operations: ListedOperation[];
}

export interface Catalog {
  readonly title: string;
  readonly openapi: string;
  readonly explain: string;
  readonly providers: readonly {
    readonly name: string;
    readonly type: string;
    readonly schemes: readonly SecurityScheme[];
  }[];
  /** The value of each limit, by name. */
  readonly limits: Readonly<Record<string, string>>;
  readonly rooms: RealtimeAccess | undefined;
  readonly services: readonly ListedService[];
}

/** Characters of a comment in the list; the page of the operation has all of it. */
const maxComment = 600;

/** Units for listing one operation. */
const operationUnits = 10;

/** Lists services and their operations, in the order of their names. */
export function* makeCatalog(source: CatalogSource): Steps<Catalog> {
  const { api, methodPaths, path, openapi } = source;
  const protocols = new Map<MethodType, readonly string[]>();
  for (const route of methodPaths) protocols.set(route.rpc, route.protocols);
  const services = new Map<string, ListedService>();
  const rested = new Set<MethodType>();
  const list = (route: Route): void => {
    const { service } = route.rpc;
    let listed = services.get(service.fullName);
    if (listed === undefined) {
      const document = `${openapi}?service=${encodeURIComponent(service.fullName)}`;
      const comment = shortComment(describeComment(service.comment));
      listed = { name: service.fullName, comment, document, operations: [] };
      services.set(service.fullName, listed);
    }
    listed.operations.push(operationOf(route, protocols.get(route.rpc) ?? route.protocols, api));
  };
  for (const route of api.routes) {
    rested.add(route.rpc);
    list(route);
    yield operationUnits;
  }
  for (const route of methodPaths) {
    if (route.method === "POST" && !rested.has(route.rpc)) list(route);
    yield operationUnits;
  }
  const own = ownOperations(api, source.rooms);
  return {
    title: api.title,
    openapi,
    explain: `${path}/explain`,
    providers: providersOf(api.providers),
    limits: Object.fromEntries(
      Object.entries(source.limits).map(([name, limit]) => [name, allowanceOf(limit)]),
    ),
    rooms: source.rooms,
    services: [
      ...[...services.values()].sort((one, two) => (one.name < two.name ? -1 : 1)),
      ...(own.length === 0
        ? []
        : [
            {
              name: "Gateway",
              comment: "What the gateway serves itself, or forwards.",
              document: `${path}/gateway.json`,
              operations: own,
            },
          ]),
    ],
  };
}

function operationOf(route: Route, protocols: readonly string[], api: ApiSource): ListedOperation {
  const { rpc, method, template, rest } = route;
  const comment = describeComment(rpc.comment);
  return {
    name: rpc.name,
    method,
    template: template.text,
    ...(rest ? placeOf(route) : { unlisted: "it has no REST route" }),
    ...wordsOf(comment),
    rpc: rpc.path,
    ...(rpc.clientStreaming || rpc.serverStreaming
      ? { kind: rpc.clientStreaming ? (rpc.serverStreaming ? "bidi" : "client") : "server" }
      : {}),
    rest,
    protocols,
    ...guardOf(route, api),
    ...(rpc.deprecated || rpc.service.deprecated ? { deprecated: true } : {}),
  };
}

/** Methods that OpenAPI has operations for. */
const documented: ReadonlySet<string> = new Set(["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH"]);

function placeOf({
  method,
  template,
}: Pick<Route, "method" | "template">): Pick<ListedOperation, "path" | "unlisted"> {
  const path = apiPath(template);
  if (typeof path === "string") return { unlisted: path };
  return documented.has(method) ? { path: path.text } : { unlisted: `it has no method ${method}` };
}

function wordsOf(comment: string): Pick<ListedOperation, "summary" | "comment"> {
  const summary = summaryOf(comment);
  const short = shortComment(comment);
  return { summary, ...(short === summary || short === `${summary}.` ? {} : { comment: short }) };
}

function shortComment(comment: string): string {
  return comment.length > maxComment ? `${comment.slice(0, maxComment)}…` : comment;
}

function guardOf(
  route: Route | BuiltInRoute,
  { checks }: ApiSource,
): Pick<ListedOperation, "auth" | "limits"> {
  const auth = authOf(route, checks.auth);
  return { ...(auth === "none" ? {} : { auth }), limits: limitsOf(route) };
}

/** Parts of the gateway that are no operations of the API. */
const hidden: ReadonlySet<string> = new Set(["docs", "openapi", "demo"]);

function ownOperations(api: ApiSource, rooms: RealtimeAccess | undefined): ListedOperation[] {
  return api.builtIn.flatMap(route => {
    const { method, template } = route;
    const base = { method, template: template.text, rest: true, protocols: [], ...guardOf(route, api) };
    if (route.kind === "pass-through") {
      const summary = `Forwarded to the upstream ${route.passThrough.upstream}`;
      return [{ ...base, name: template.text, summary, unlisted: "requests are forwarded as they are" }];
    }
    const { operation, service } = route.handler;
    if (operation === undefined && (hidden.has(service) || template.text === rooms?.path)) return [];
    if (operation === undefined)
      return [
        { ...base, name: template.text, summary: `Served by ${service}`, unlisted: "it is not described" },
      ];
    const { summary, description } = operation;
    return [
      {
        ...base,
        name: operation.id,
        summary,
        ...(description === undefined ? {} : { comment: description }),
        ...placeOf(route),
      },
    ];
  });
}

function providersOf(providers: ProvidersConfig): Catalog["providers"] {
  return Object.entries(providers).map(([name, provider]) => ({
    name,
    type: provider.type,
    schemes: providerType(provider.type).describe(provider),
  }));
}
