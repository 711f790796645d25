import Type from "typebox";
import { duration, mapping, section, size, text } from "./kind.js";
import { QuerySchema } from "./service-schema.js";

const template = (method: string) =>
  Type.Optional(
    text("template", { description: `Path template of a ${method} route, such as /v1/{name=messages/*}.` }),
  );

/** The keys of a rule of which there is exactly one. */
export const routePatterns = ["get", "put", "post", "delete", "patch", "custom"] as const;

const exactlyOnePattern = { oneOf: routePatterns.map(key => ({ required: [key] })) };

const route = {
  get: template("GET"),
  put: template("PUT"),
  post: template("POST"),
  delete: template("DELETE"),
  patch: template("PATCH"),
  custom: Type.Optional(
    mapping(
      {
        kind: text("httpMethod", { description: "The HTTP method, such as HEAD; `*` for any." }),
        path: text("template", { description: "Path template." }),
      },
      "A route of another HTTP method.",
    ),
  ),
  body: Type.Optional(
    text("body", {
      description: 'The request field that the body fills: "*" for all of them; left out, there is none.',
    }),
  ),
  response_body: Type.Optional(
    text("field", {
      description: "The reply's field that is answered alone. Left out, all of the reply is.",
    }),
  ),
};

const RuleSchema = mapping(
  {
    selector: text("fullName", { description: "The method, `package.Service.Method`." }),
    ...route,
    additional_bindings: Type.Array(
      mapping(route, "A further route of the same method.", exactlyOnePattern),
      {
        default: [],
        description: "Further routes of the method. They inherit nothing from the rule and do not nest.",
      },
    ),
  },
  "A google.api.HttpRule with exactly one of get, put, post, delete, patch and custom.",
  exactlyOnePattern,
);

export const HttpSchema = section(
  {
    rules: Type.Array(RuleSchema, {
      default: [],
      description: "Routes by method; a rule replaces the method's annotation.",
    }),
    limits: section(
      {
        body: size({ description: "Largest request body.", default: "1MiB" }, 1, 1 << 30),
        header: size({ description: "Largest request header block.", default: "16KiB" }, 1024, 1 << 20),
        depth: Type.Integer({
          minimum: 1,
          maximum: 1000,
          default: 100,
          description: "Most levels of nested JSON, both ways. From 1 to 1000.",
        }),
        request_timeout: duration({
          description: "How long a client may take to send its request.",
          default: "30s",
        }),
      },
      "What a request may cost.",
    ),
    query: QuerySchema,
    forwarded: section(
      {
        trusted_hops: Type.Integer({
          minimum: 0,
          maximum: 100,
          default: 0,
          description:
            "How many proxies in front of the gateway are trusted to have set x-forwarded-*. With 0 what a client sends in them is dropped.",
        }),
      },
      "What is believed of x-forwarded-* headers.",
    ),
  },
  "The REST API as a whole.",
);
