/** A route that a part of the gateway adds to the admin listener. */
export interface AdminRoute {
  readonly method: "GET" | "POST" | "DELETE";
  /** Segments that begin with `:` are parameters. */
  readonly path: string;
  /** @throws GatewayError (by rejection) */
  handle(request: AdminRequest): AdminResponse | Promise<AdminResponse>;
}

export interface AdminRequest {
  /** Decoded, by name. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The JSON body as it came; empty without one. */
  readonly body: Uint8Array;
}

export interface AdminResponse {
  readonly status: number;
  /** To be sent as JSON; undefined: no body. */
  readonly body: unknown;
}
