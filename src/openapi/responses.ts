import type { Dialect, JsonSchema } from "../dialects/dialect.js";
import { statusPhrase } from "../status/code.js";
import { gatewayFailure } from "../status/failure.js";
import { type Reason, reasons } from "../status/reasons.js";
import type { Schemas } from "./schemas.js";

/** A Response Object of OpenAPI, or a reference to one. */
export type ResponseObject = { readonly [key: string]: unknown };

/** The error responses of operations; equal ones are shared by all. */
export class Responses {
  /** By name under `components/responses`, as JSON. */
  readonly components = new Map<string, string>();
  readonly #written: (response: ResponseObject) => string;
  readonly #schemas: Schemas;
  readonly #names = new Map<string, string>();

  /** @param written the JSON of a response */
  constructor(schemas: Schemas, written: (response: ResponseObject) => string) {
    this.#written = written;
    this.#schemas = schemas;
  }

  /**
   * All responses of an operation: the successes, the failures by HTTP status as the dialect sends it, and `default` for
   * other errors of a backend.
   * @param possible the failures that can occur
   * @param limited whether a rate limit holds
   */
  all(
    successes: Readonly<Record<string, ResponseObject>>,
    dialect: Dialect,
    possible: readonly Reason[],
    limited: boolean,
  ): Record<string, ResponseObject> {
    const byStatus = new Map<string, Reason[]>();
    for (const reason of possible) {
      const status = String(rendered(dialect, reason).status);
      byStatus.set(status, [...(byStatus.get(status) ?? []), reason]);
    }
    const all: Record<string, ResponseObject> = { ...successes };
    for (const [status, list] of [...byStatus].sort(([one], [two]) => Number(one) - Number(two))) {
      const success = all[status];
      all[status] =
        success === undefined
          ? this.#failure(dialect, status, list, limited)
          : this.#either(success, dialect, list);
    }
    all.default = this.#default(dialect);
    return all;
  }

  /** The schema of the dialect's error bodies. */
  schema(dialect: Dialect): JsonSchema {
    return this.#schemas.own(`${dialect.name}-error`, dialect.failureSchema);
  }

  #failure(dialect: Dialect, status: string, list: readonly Reason[], limited: boolean): ResponseObject {
    const [first = "INTERNAL"] = list;
    const { contentType, body } = rendered(dialect, first);
    const headers = {
      ...(status === "401" ? { "WWW-Authenticate": header("How to authenticate.") } : {}),
      ...(status === "429" || status === "503"
        ? { "Retry-After": header("Seconds to wait.", "integer") }
        : {}),
      ...(limited && status === "429" ? rateLimitHeaders : {}),
    };
    return this.#shared(`${dialect.name}-${status}`, {
      description: `${statusPhrase(Number(status))}.\n\n${describeReasons(list)}`,
      ...(Object.keys(headers).length === 0 ? {} : { headers }),
      content: { [contentType]: { schema: this.schema(dialect), example: JSON.parse(body) } },
      "x-protogate-reasons": list,
    });
  }

  /** A failure that has the status of a success. */
  #either(success: ResponseObject, dialect: Dialect, list: readonly Reason[]): ResponseObject {
    const failure = this.schema(dialect);
    const content = Object.entries((success.content ?? {}) as Readonly<Record<string, ResponseObject>>);
    return {
      ...success,
      description: `${success.description}, or a failure:\n\n${describeReasons(list)}`,
      content: Object.fromEntries(
        content.map(([type, { schema, ...others }]) => [
          type,
          { schema: { anyOf: [schema, failure] }, ...others },
        ]),
      ),
      "x-protogate-reasons": list,
    };
  }

  #default(dialect: Dialect): ResponseObject {
    const { contentType } = rendered(dialect, "INTERNAL");
    return this.#shared(`${dialect.name}-default`, {
      description: "Any other failure, most with the message of the backend.",
      content: { [contentType]: { schema: this.schema(dialect) } },
    });
  }

  #shared(name: string, response: ResponseObject): ResponseObject {
    const text = JSON.stringify(response);
    let known = this.#names.get(text);
    if (known === undefined) {
      known = name;
      for (let count = 2; this.components.has(known); count++) known = `${name}-${count}`;
      this.#names.set(text, known);
      this.components.set(known, this.#written(response));
    }
    return { $ref: `#/components/responses/${known}` };
  }
}

/** The headers of responses where a rate limit holds. */
export const rateLimitHeaders = {
  RateLimit: header("What is left of each limit, and seconds until it is whole again."),
  "RateLimit-Policy": header("The limits: requests, and seconds that they are for."),
};

function header(description: string, type = "string"): ResponseObject {
  return { description, schema: { type } };
}

function rendered(dialect: Dialect, reason: Reason) {
  const { doc } = reasons[reason];
  return dialect.renderFailure(gatewayFailure(reason, doc), [], { requestId: "", path: "/" });
}

function describeReasons(list: readonly Reason[]): string {
  return list.map(reason => `- \`${reason}\`: ${reasons[reason].doc}`).join("\n");
}
