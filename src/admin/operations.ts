import type { AdminRoute } from "../bindings/admin-route.js";
import { requireJsonType } from "../bindings/json-body.js";
import { type Router, RouterBuilder } from "../routing/router.js";
import { parseTemplate } from "../routing/template-parser.js";
import { gatewayError } from "../status/failure.js";

/** A request to the admin listener for none of its own pages. */
export interface OperationRequest {
  readonly method: string;
  /** Raw, without the query. */
  readonly path: string;
  /** The text after the `?`; may be empty. */
  readonly query: string;
  readonly contentType: string | undefined;
  /** The page that sends the request, where a browser does. */
  readonly origin: string | undefined;
  readonly body: Uint8Array;
}

export interface OperationResponse {
  readonly status: number;
  readonly body: unknown;
}

/** Serves routes that this process does not know. */
export interface OtherOperations {
  /** As `Operations.handle`. */
  handle(request: OperationRequest): Promise<OperationResponse | undefined>;
  /** The paths of all of them. */
  paths(): Promise<readonly string[]>;
}

/** Serves the routes that parts of the gateway add to the admin listener; they may change with each reload. */
export class Operations {
  readonly #routes: () => readonly AdminRoute[];
  #built: readonly AdminRoute[] = [];
  #router: Router<AdminRoute> = new RouterBuilder<AdminRoute>().build();

  constructor(routes: () => readonly AdminRoute[]) {
    this.#routes = routes;
  }

  /**
   * @returns undefined where no route has the path
   * @throws GatewayError (by rejection)
   */
  async handle(request: OperationRequest): Promise<OperationResponse | undefined> {
    const found = this.#current().match(request.method, request.path);
    switch (found.kind) {
      case "none":
        return undefined;
      case "malformed":
        throw gatewayError("MALFORMED_PATH", found.message);
      case "method": {
        const { allow } = found;
        const message = `${request.method} is not served here; expected ${allow.join(", ")}`;
        throw gatewayError("METHOD_NOT_ALLOWED", message, [], { allow });
      }
    }
    if (request.method !== "GET") refuseOtherPages(request);
    const names = parameterNames(found.value.path);
    const entries = names.map((name, index) => [name, found.variables[index] ?? ""]);
    const query = new URLSearchParams(request.query);
    return found.value.handle({ parameters: Object.fromEntries(entries), query, body: request.body });
  }

  #current(): Router<AdminRoute> {
    const routes = this.#routes();
    if (routes !== this.#built) {
      const builder = new RouterBuilder<AdminRoute>();
      for (const route of routes) builder.add(route.method, parseTemplate(templateOf(route.path)), route);
      this.#router = builder.build();
      this.#built = routes;
    }
    return this.#router;
  }
}

/** Pages must not make the browser of an operator change anything: it would send their forms here unasked. */
function refuseOtherPages({ origin, contentType, body }: OperationRequest): void {
  if (origin !== undefined)
    throw gatewayError("MISDIRECTED_REQUEST", "requests of web pages are not served here");
  if (body.length > 0) requireJsonType(contentType ?? "");
}

function parameterNames(path: string): string[] {
  return path.split("/").flatMap(segment => (segment.startsWith(":") ? [segment.slice(1)] : []));
}

function templateOf(path: string): string {
  return path.replace(/:([A-Za-z_]+)/g, "{$1}");
}
