import Type, { type Static } from "typebox";
import { dialectNames } from "../dialects/dialects.js";
import { authReference } from "./auth-schema.js";
import { choice, duration, listOf, mapping, section, size, text } from "./kind.js";
import { rateLimitReference } from "./rate-limit-schema.js";

const enums = { description: "Print enums by `name`, or always as `number`." };
const int64 = {
  description:
    "Print 64-bit integers as `string` (canonical), or as `number` where a double holds them exactly.",
};
const emitDefaults = {
  description:
    "Print fields that hold their default: zeros, false, empty lists and texts. `with_null` also prints unset messages as null.",
};
const withNull = Type.Unsafe<boolean | "with_null">({
  anyOf: [{ const: true }, { const: false }, { enum: ["with_null"] }],
});
const names = {
  description: "Print field names as `json` (lowerCamelCase) or as in the `proto`. Both are read.",
};
const unknownFields = {
  description: "What to do with a field in a request body that the message does not have.",
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

/** The same keys without defaults: what is left out is the outer level's. */
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
    "How messages become JSON and back. What is left out is as the service, or `service_defaults`, has it.",
  ),
);

const request = { description: "Request headers that are sent to the backend as metadata of the same name." };
const response = { description: "Metadata of the reply, initial or trailing, that become response headers." };
const headerName = text("header", { description: "A header name, in any case." });

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
    "Which headers and metadata pass. A list replaces that of the service or of `service_defaults`; one left out does not.",
  ),
);

const queryUnknown = { description: "What to do with a query parameter that names no field." };
const queryIgnore = { description: "Query parameters that are never an error, whatever `unknown` says." };
const parameter = text("nonempty", { description: "A parameter's name." });

/** `http.query`: what holds where neither a service nor a method says otherwise. */
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
    "Query parameters. What is left out is as `http.query` (or, for a method, its service) has it.",
  ),
);

const errors = {
  description:
    "The body of an error. `status`: code, reason, message and details; `google`: AIP-193; `problem`: RFC 9457; `openim`: the envelope of OpenIM, for successes as well, and what its clients and backends expect of headers and metadata; `chat-api`: only a text.",
};
const emptyResponse = {
  description: "How a reply of google.protobuf.Empty is answered: 200 with {}, or 204.",
};
const emptyStatuses = [200, 204] as const;
const timeout = Type.Optional(duration({ description: "Deadline of a call, in place of the upstream's." }));
const limits = Type.Optional(
  mapping(
    { body: Type.Optional(size({ description: "Largest request body." }, 1, 1 << 30)) },
    "What a request may cost. What is left out is as `http.limits` (or, for a method, its service) has it.",
  ),
);
const validate = {
  description: "Whether requests must satisfy the buf.validate rules of their messages.",
};
const auth = Type.Optional(
  authReference(
    "Who may call: `none`, or providers of which one must accept. Without it, as `auth.default` says.",
  ),
);

const contentTypes = {
  description:
    "Which content types of a request body are read as JSON. `json`: application/json and its kin, others are 415; `any`: all, and none.",
};
export const contentTypeRules = ["json", "any"] as const;
const successStatus = Type.Optional(
  text("header", {
    description:
      "Response metadata with which the backend chooses the HTTP status of a success, 200 to 299; other values are ignored.",
  }),
);
const statusCodes = {
  description:
    "HTTP statuses of the backend's own codes, those above 16: a code such as 5002, or a range such as 2000-2999. A code that is not listed is 500.",
};
const statusCodesSchema = Type.Record(
  Type.String({ pattern: "^[0-9]{1,10}(-[0-9]{1,10})?$" }),
  Type.Integer({ minimum: 400, maximum: 599, description: "An HTTP status." }),
  { propertyNames: { description: "a code such as 5002, or a range such as 2000-2999" }, ...statusCodes },
);
const bindingSources = choice(["annotations", "convention", "auto"], {
  description: "A source of bindings.",
});
const bindings = {
  description:
    "Where its routes come from. `annotations`: google.api.http options; `convention`: method names such as GetArticle; `auto`: POST /package.Service/Method. Rules under `http.rules` count always.",
};
const prefix = {
  description:
    'Put before the path of every route, such as `/blog`; "" for none. `{package}` stands for the package of the service.',
};

/** What a service and each of its methods may say; what is left out is the outer level's. */
const options = {
  json: jsonOverride,
  content_types: Type.Optional(choice(contentTypeRules, contentTypes)),
  status_codes: Type.Optional(statusCodesSchema),
  success_status: successStatus,
  errors: Type.Optional(choice(dialectNames, errors)),
  empty_response: Type.Optional(choice(emptyStatuses, emptyResponse)),
  timeout,
  metadata: metadataOverride,
  query: queryOverride,
  limits,
  validate: Type.Optional(Type.Boolean(validate)),
  auth,
  rate_limit: rateLimitReference,
};

export const MethodSchema = mapping(options, "What one method does otherwise than its service.");

export const ServiceSchema = mapping(
  {
    service: text("servicePattern", {
      description:
        "Full name of the RPC service, `package.Service`, or `package.**` for all services of a package and of those below it. An exact name beats a pattern, a longer pattern a shorter one.",
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
    status_codes: Type.Unsafe<Static<typeof statusCodesSchema>>({ ...statusCodesSchema, default: {} }),
    errors: choice(dialectNames, { ...errors, default: "status" }),
    empty_response: choice(emptyStatuses, { ...emptyResponse, default: 200 }),
    metadata,
    validate: Type.Boolean({ ...validate, default: true }),
  },
  "What holds for every service that does not say otherwise.",
);
