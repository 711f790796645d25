import Type from "typebox";
import { dialectNames } from "../dialects/dialects.js";
import { choice, duration, listOf, mapping, section, size, text } from "./kind.js";
import { ProxySchema } from "./proxy-schema.js";
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
    selector: text("methodName", { description: "The method, `package.Service.Method`." }),
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

const header = text("header", { description: "A header name, in any case." });

const CorsSchema = mapping(
  {
    origins: Type.Array(
      text("nonempty", {
        description:
          'An origin as browsers send it, such as https://app.example.com or http://localhost:5173; https://*.example.com for every host below; "*" for all, without credentials.',
      }),
      { minItems: 1, maxItems: 1000, description: "The pages that may read replies." },
    ),
    methods: Type.Optional(
      listOf(text("httpMethod", { description: "An HTTP method in capitals." }), {
        description: "The methods that pages may use where a route has them. Left out, all that it has.",
      }),
    ),
    allow_headers: listOf(header, {
      description: "Request headers that pages may set.",
      default: ["authorization", "content-type", "x-request-id"],
    }),
    expose_headers: listOf(header, {
      description: "Response headers that pages may read.",
      default: ["ratelimit", "ratelimit-policy", "retry-after", "x-request-id"],
    }),
    credentials: Type.Boolean({
      default: false,
      description: "Whether pages may send cookies and client certificates.",
    }),
    max_age: duration(
      { description: "How long a browser may keep the answer to a preflight.", default: "10m" },
      0,
    ),
  },
  "Which pages of other origins may call (CORS). Left out, none may.",
);

const SecurityHeadersSchema = Type.Record(
  Type.String({ pattern: "^[A-Za-z0-9_.-]{1,128}$" }),
  text("any", { description: 'The value; "" leaves the header out.' }),
  {
    default: {},
    propertyNames: { description: "a header name of letters, digits, -, _ and ." },
    description:
      "Headers of every reply, beside `x-content-type-options: nosniff`. `strict-transport-security` is sent over TLS only.",
  },
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
    proxy: ProxySchema,
    cors: Type.Optional(CorsSchema),
    security_headers: SecurityHeadersSchema,
    query: QuerySchema,
    errors: choice(dialectNames, {
      description: "The shape of error bodies where no route answers.",
      default: "status",
    }),
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
