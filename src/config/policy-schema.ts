import Type from "typebox";
import { listOf, mapping, text } from "./kind.js";

type ClaimValue = string | number | boolean;

const claimKinds = [
  { type: "string", format: "any", description: "A text." },
  { type: "integer", description: "A whole number." },
  { type: "boolean", description: "True or false." },
];

const claims = Type.Record(
  Type.String({ pattern: "^." }),
  Type.Unsafe<ClaimValue | readonly ClaimValue[]>({
    anyOf: [
      ...claimKinds,
      { type: "array", items: { anyOf: claimKinds }, minItems: 1, description: "One of these." },
    ],
    description: "The value, or a list of values that it may have.",
  }),
  {
    propertyNames: { description: "the name of a claim" },
    description:
      "Claims that the caller must have, by name, with their value or a list of values. A claim that is a list must hold one of them.",
  },
);

const scope = text("nonempty", { description: "A scope, without spaces." });

const MatchSchema = mapping(
  {
    route: Type.Optional(
      text("template", {
        description:
          "The paths it holds for, such as `/admin/**`: `*` stands for any text within one segment, `**` for any number of segments, none included. Case does not count. A prefix belongs to the path.",
      }),
    ),
    methods: Type.Optional(
      listOf(text("httpMethod", { description: "An HTTP method in capitals." }), {
        description: "The HTTP methods it holds for; GET and HEAD are one. Left out, all.",
      }),
    ),
    rpc: Type.Optional(
      text("nonempty", {
        description:
          "The RPC methods it holds for: `package.Service/Method`, `package.Service/*`, or `package.**` for all of a package and the packages in it.",
      }),
    ),
    room: Type.Optional(
      text("nonempty", {
        description:
          "The realtime rooms it holds for, by name; `*` stands for any text. Not together with the other keys.",
      }),
    ),
  },
  "What the policy holds for; of several keys all must match.",
);

const RequireSchema = mapping(
  {
    scopes: Type.Optional(listOf(scope, { description: "Scopes that the caller must have, all of them." })),
    any_scope: Type.Optional(
      listOf(scope, { description: "Scopes of which the caller must have at least one." }),
    ),
    claims: Type.Optional(claims),
    rule: Type.Optional(
      text("nonempty", {
        description:
          "An expression over `claim`, `subject`, `scopes`, `provider`, `request` (fields of the RPC request) and `room` that must be true, such as `claim.sub == request.user_id`.",
      }),
    ),
  },
  "What must hold, all of it.",
);

const PolicySchema = mapping(
  {
    name: Type.Optional(
      text("nonempty", { description: "What the log and the metrics call it. Without it, its index." }),
    ),
    match: MatchSchema,
    require: Type.Optional(RequireSchema),
    deny: Type.Optional(Type.Literal(true, { description: "Refuse everybody; in place of `require`." })),
  },
  "A condition on top of authentication.",
);

/** `auth.policies`. */
export const PoliciesSchema = Type.Array(PolicySchema, {
  default: [],
  maxItems: 1000,
  description:
    "Who may do what, on top of authentication. Where several policies match, all of them must hold.",
});
