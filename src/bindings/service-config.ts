import type { Static } from "typebox";
import type { AuthConfig } from "../auth/config.js";
import { authReference } from "../auth/config.js";
import type { Loaded } from "../config/schema.js";
import { choice, duration, listOf, mapping, section, size, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";
import type { DescriptorsConfig } from "../descriptors/config.js";
import { dialectNames } from "../dialects/dialects.js";
import type { RateLimitsConfig } from "../limits/config.js";
import { rateLimitReference } from "../limits/config.js";
import type { UpstreamsConfig } from "../upstream/config.js";
import type { RulesConfig } from "./rule-config.js";
import { StatusCodesSchema } from "./status-codes.js";
import { streamDefaults, streamOptions } from "./stream-config.js";

const enums = { description: "Print enums by `name` or always as `number`." };
const int64 = {
  description: "Print 64-bit integers as `string`, or as `number` where a double holds them exactly.",
};
const emitDefaults = {
  description:
    "Print fields that have their default value: zeros, false, empty lists and strings. `with_null` also prints unset messages as null.",
};
const withNull = Type.Unsafe<boolean | "with_null">({
  anyOf: [{ const: true }, { const: false }, { enum: ["with_null"] }],
});
const names = {
  description:
    "Print field names as `json` (lowerCamelCase) or as in the `proto` file. Both are accepted in requests.",
};
const unknownFields = {
  description: "What to do with a field of a request body that the message does not have.",
};

const wrappers = Type.Optional(
  listOf(text("fullName", { description: "Full name of a message." }), {
    description:
      "Messages with one field `value`, a scalar or an enum, that are printed and read as that bare value, like google.protobuf.StringValue. With `errors: openim` those of openim.protobuf, unless this list is given.",
  }),
);

const nameOrNumber = ["name", "number"] as const;
const stringOrNumber = ["string", "number"] as const;
const jsonOrProto = ["json", "proto"] as const;
const rejectOrIgnore = ["reject", "ignore"] as const;

const json = section(
  {
    enums: choice(nameOrNumber, { ...enums, default: "name" }),
    int64: choice(stringOrNumber, { ...int64, default: "string" }),
    emit_defaults: Type.Unsafe<boolean | "with_null">({ ...withNull, ...emitDefaults, default: false }),
    names: choice(jsonOrProto, { ...names, default: "json" }),
    unknown_fields: choice(rejectOrIgnore, { ...unknownFields, default: "reject" }),
    wrappers,
  },
  "How messages become JSON and back.",
);

/** The same keys without defaults: keys that are left out are inherited from the outer level. */
const jsonOverride = Type.Optional(
  mapping(
    {
      enums: Type.Optional(choice(nameOrNumber, enums)),
      int64: Type.Optional(choice(stringOrNumber, int64)),
      emit_defaults: Type.Optional(Type.Unsafe<boolean | "with_null">({ ...withNull, ...emitDefaults })),
      names: Type.Optional(choice(jsonOrProto, names)),
      unknown_fields: Type.Optional(choice(rejectOrIgnore, unknownFields)),
      wrappers,
    },
    "The form of messages in JSON. Keys that are left out have the value of the service, else of `service_defaults`, else that of canonical ProtoJSON.",
  ),
);

const request = { description: "Request headers that are sent to the backend as metadata of the same name." };
const response = {
  description: "Metadata of the backend's response, initial or trailing, that become response headers.",
};
const headerName = text("headerGlob", {
  description:
    "A header name, in any case, or a glob with one `*`, such as `x-*`. Binary metadata passes by globs that end in `-bin`; credentials and what HTTP or gRPC owns by no glob.",
});

const metadata = section(
  {
    request: listOf(headerName, { ...request, default: [] }),
    response: listOf(headerName, { ...response, default: [] }),
  },
  "Which headers and metadata pass. Nothing passes that is not named.",
);

const metadataOverride = Type.Optional(
  mapping(
    {
      request: Type.Optional(listOf(headerName, request)),
      response: Type.Optional(listOf(headerName, response)),
    },
    "Which headers and metadata are forwarded. A list replaces that of the service or of `service_defaults`. Left out: none.",
  ),
);

const queryUnknown = { description: "What to do with a query parameter that names no field." };
const queryIgnore = { description: "Query parameters that are ignored even with `unknown: reject`." };
const parameter = text("nonempty", { description: "A parameter's name." });

/** `http.query`: the values where neither a service nor a method has its own. */
export const QuerySchema = section(
  {
    unknown: choice(rejectOrIgnore, { ...queryUnknown, default: "reject" }),
    ignore: listOf(parameter, { ...queryIgnore, default: [] }),
  },
  "Query parameters of all services.",
);

const queryOverride = Type.Optional(
  mapping(
    {
      unknown: Type.Optional(choice(rejectOrIgnore, queryUnknown)),
      ignore: Type.Optional(listOf(parameter, queryIgnore)),
    },
    "Query parameters. Keys that are left out have the value of the service, else of `http.query`.",
  ),
);

const errors = {
  description:
    "The body of an error. `status`: code, reason, message and details; `google`: AIP-193; `problem`: RFC 9457; `openim`: the envelope of OpenIM, for successes as well, and what its clients and backends expect of headers and metadata; `chat-api`: only a text.",
};
const emptyResponse = {
  description: "The HTTP response for a google.protobuf.Empty: 200 with `{}`, or 204.",
};
const emptyStatuses = [200, 204] as const;
const timeout = Type.Optional(
  duration({ description: "Deadline of a call in place of the upstream's; 0s: only the client's." }, 0),
);
const limits = Type.Optional(
  mapping(
    { body: Type.Optional(size({ description: "Largest request body." }, 1, 1 << 30)) },
    "Limits in place of `http.limits` (or, for a method, of those of its service).",
  ),
);
const validate = {
  description: "Whether requests are checked by the buf.validate rules of their messages.",
};
const auth = Type.Optional(
  authReference("Authentication: `none`, or providers of which one must accept. Left out: `auth.default`."),
);

const contentTypes = {
  description:
    "Which content types of a request body are read as JSON. `json`: application/json and application/*+json, others are 415; `any`: all, also a body without a content type.",
};
const contentTypeRules = ["json", "any"] as const;
const successStatus = Type.Optional(
  text("header", {
    description:
      "Response metadata with which the backend chooses the HTTP status of a success, 200 to 299; other values are ignored.",
  }),
);
const bindingSources = choice(["annotations", "convention", "auto"], {
  description: "A source of bindings.",
});
const bindings = {
  description:
    "Where its routes come from. `annotations`: google.api.http options; `convention`: method names such as GetArticle; `auto`: POST /package.Service/Method. Rules under `http.rules` always apply.",
};
const prefix = {
  description:
    'Put before the path of every route, such as `/blog`; "" for none. `{package}` stands for the package of the service.',
};

export const protocolNames = ["rest", "connect", "grpc-web", "grpc"] as const;

/** As `protocols` names them. */
export type ProtocolName = (typeof protocolNames)[number];

const protocols = Type.Optional(
  listOf(choice(protocolNames, { description: "A protocol." }), {
    description:
      "How its methods may be called: `rest` on their routes, `connect`, `grpc-web` and `grpc` on POST /package.Service/Method. Left out: all of them, for methods that have a route.",
  }),
);

/** The options of a service and of each of its methods; those left out are inherited from the outer level. */
const options = {
  json: jsonOverride,
  content_types: Type.Optional(choice(contentTypeRules, contentTypes)),
  status_codes: Type.Optional(StatusCodesSchema),
  success_status: successStatus,
  protocols,
  errors: Type.Optional(choice(dialectNames, errors)),
  empty_response: Type.Optional(choice(emptyStatuses, emptyResponse)),
  timeout,
  ...streamOptions,
  metadata: metadataOverride,
  query: queryOverride,
  limits,
  validate: Type.Optional(Type.Boolean(validate)),
  auth,
  rate_limit: rateLimitReference,
};

const MethodSchema = mapping(
  options,
  "Settings of one method in place of those of its service: the same keys without `service`, `upstream`, `bindings` and `prefix`.",
);

const ServiceSchema = mapping(
  {
    service: text("servicePattern", {
      description:
        "Full name of the RPC service, `package.Service`, or `package.**` for all services of a package and of those below it. An exact name takes precedence over a pattern, a longer pattern over a shorter one.",
    }),
    upstream: text("nonempty", { description: "Name of an upstream." }),
    bindings: Type.Optional(listOf(bindingSources, bindings)),
    prefix: Type.Optional(text("servicePrefix", prefix)),
    ...options,
    methods: Type.Record(Type.String({ pattern: "^[A-Za-z_][A-Za-z0-9_]*$" }), MethodSchema, {
      default: {},
      propertyNames: { description: "the name of a method, without its service" },
      description: "What single methods do otherwise, by the method's name.",
    }),
  },
  "RPC services to expose.",
);

/** `service_defaults`: the outermost level, with the defaults of the program. */
export const ServiceDefaultsSchema = section(
  {
    ...options,
    bindings: listOf(bindingSources, { ...bindings, default: ["annotations"] }),
    prefix: text("servicePrefix", { ...prefix, default: "" }),
    json,
    content_types: choice(contentTypeRules, { ...contentTypes, default: "json" }),
    status_codes: Type.Unsafe<Static<typeof StatusCodesSchema>>({ ...StatusCodesSchema, default: {} }),
    errors: choice(dialectNames, { ...errors, default: "status" }),
    empty_response: choice(emptyStatuses, { ...emptyResponse, default: 200 }),
    metadata,
    ...streamDefaults,
    validate: Type.Boolean({ ...validate, default: true }),
  },
  "What holds for every service that does not say otherwise.",
);

/** `services`. */
export const ServicesSchema = Type.Array(ServiceSchema, {
  default: [],
  description: "Which RPC services are exposed, through which upstream, and how.",
});

type ServicesConfig = Loaded<typeof ServicesSchema>;
export type ServiceConfig = ServicesConfig[number];
export type MethodConfig = ServiceConfig["methods"][string];
export type ServiceDefaults = Loaded<typeof ServiceDefaultsSchema>;
export type QueryConfig = Loaded<typeof QuerySchema>;

/** The sections of the configuration that select the served methods and their options. */
export interface BindingSections {
  readonly descriptors: DescriptorsConfig;
  readonly http: {
    readonly rules: RulesConfig;
    readonly query: QueryConfig;
    readonly limits: { readonly body: number; readonly depth: number };
  };
  readonly services: ServicesConfig;
  readonly service_defaults: ServiceDefaults;
  readonly upstreams: UpstreamsConfig;
  readonly auth: AuthConfig;
  readonly rate_limits: RateLimitsConfig;
}
