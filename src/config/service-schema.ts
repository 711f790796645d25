import Type from "typebox";
import { authReference } from "./auth-schema.js";
import { choice, duration, listOf, mapping, section, size, text } from "./kind.js";
import { rateLimitReference } from "./rate-limit-schema.js";

const enums = { description: "Print enums by `name`, or always as `number`." };
const int64 = {
  description:
    "Print 64-bit integers as `string` (canonical), or as `number` where a double holds them exactly.",
};
const emitDefaults = {
  description: "Print fields that hold their default: zeros, false, empty lists and texts.",
};
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
    emit_defaults: Type.Boolean({ ...emitDefaults, default: false }),
    names: choice(jsonOrProto, { ...names, default: "json" }),
    unknown_fields: choice(rejectOrIgnore, { ...unknownFields, default: "reject" }),
    wrappers,
  },
  "How messages become JSON and back.",
);

/** The same keys without defaults: what is left out is the service's. */
const jsonOverride = Type.Optional(
  mapping(
    {
      enums: Type.Optional(choice(nameOrNumber, enums)),
      int64: Type.Optional(choice(stringOrNumber, int64)),
      emit_defaults: Type.Optional(Type.Boolean(emitDefaults)),
      names: Type.Optional(choice(jsonOrProto, names)),
      unknown_fields: Type.Optional(choice(rejectOrIgnore, unknownFields)),
      wrappers,
    },
    "How messages become JSON and back. What is left out is as the service has it.",
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
    "Which headers and metadata pass. A list replaces the service's; one left out is the service's.",
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
export const errorProfiles = ["status", "google", "problem", "openim", "chat-api"] as const;
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

export const MethodSchema = mapping(
  {
    json: jsonOverride,
    errors: Type.Optional(choice(errorProfiles, errors)),
    empty_response: Type.Optional(choice(emptyStatuses, emptyResponse)),
    timeout,
    metadata: metadataOverride,
    query: queryOverride,
    limits,
    validate: Type.Optional(Type.Boolean(validate)),
    auth,
    rate_limit: rateLimitReference,
  },
  "What one method does otherwise than its service.",
);

export const ServiceSchema = mapping(
  {
    service: text("fullName", { description: "Full name of the RPC service, `package.Service`." }),
    upstream: text("nonempty", { description: "Name of an upstream." }),
    bindings: listOf(
      choice(["annotations", "convention", "auto"], { description: "A source of bindings." }),
      {
        description:
          "Where its routes come from. `annotations`: google.api.http options; `convention`: method names such as GetArticle; `auto`: POST /package.Service/Method. Rules under `http.rules` count always.",
        default: ["annotations"],
      },
    ),
    prefix: text("prefix", {
      description: 'Put before the path of every route, such as `/blog`; "" for none.',
      default: "",
    }),
    json,
    errors: choice(errorProfiles, { ...errors, default: "status" }),
    empty_response: choice(emptyStatuses, { ...emptyResponse, default: 200 }),
    timeout,
    metadata,
    query: queryOverride,
    limits,
    validate: Type.Boolean({ ...validate, default: true }),
    auth,
    rate_limit: rateLimitReference,
    methods: Type.Record(Type.String({ pattern: "^[A-Za-z_][A-Za-z0-9_]*$" }), MethodSchema, {
      default: {},
      propertyNames: { description: "the name of a method, without its service" },
      description: "What single methods do otherwise, by the method's name.",
    }),
  },
  "An RPC service to expose.",
);
