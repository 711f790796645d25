import type { Path } from "../../config/diagnostic.js";
import type { Findings } from "../../config/findings.js";
import type { DraftOf, Loaded } from "../../config/schema.js";
import { listOf, mapping, text } from "../../config/schema.js";
import { Type } from "../../config/type-builder.js";

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
          "The paths it applies to, such as `/admin/**`: `*` stands for any text within one segment, `**` for any number of segments, none included. Case does not count. A prefix belongs to the path.",
      }),
    ),
    methods: Type.Optional(
      listOf(text("httpMethod", { description: "An HTTP method in capitals." }), {
        description: "The HTTP methods it applies to; GET includes HEAD. Left out: all.",
      }),
    ),
    rpc: Type.Optional(
      text("nonempty", {
        description:
          "The RPC methods it applies to: `package.Service/Method`, `package.Service/*`, or `package.**` for all of a package and the packages in it.",
      }),
    ),
    room: Type.Optional(
      text("nonempty", {
        description:
          "The realtime rooms it applies to, by name; `*` stands for any text. Not together with the other keys.",
      }),
    ),
  },
  "What the policy applies to; of several keys all must match.",
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
  "The conditions; all of them must hold.",
);

const PolicySchema = mapping(
  {
    name: Type.Optional(
      text("nonempty", { description: "Its name in the log and the metrics. Left out: its index." }),
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
  description: "Policies on authenticated callers. Where several match, all of them must hold.",
});

export type PoliciesConfig = Loaded<typeof PoliciesSchema>;
export type PolicyConfig = PoliciesConfig[number];

/** Checks of the text alone; compiling policies against routes does the others. */
export function checkPolicies(policies: DraftOf<PoliciesConfig> | undefined, findings: Findings): void {
  const first = new Map<string, number>();
  policies?.forEach((policy, index) => {
    if (policy === undefined) return;
    const path = ["auth", "policies", index];
    checkMatch([...path, "match"], policy, findings);
    checkRequirement(path, policy, findings);
    const { name } = policy;
    if (name === undefined) return;
    const earlier = first.get(name);
    const at = [...path, "name"];
    if (earlier === undefined) first.set(name, index);
    else findings.error(at, `${findings.show(at, name)} is the name of auth.policies[${earlier}] already`);
  });
}

function checkMatch(at: Path, policy: DraftOf<PolicyConfig>, findings: Findings): void {
  const match = policy.match;
  if (match === undefined) return;
  if (!("route" in match) && !("rpc" in match) && !("room" in match)) {
    findings.error(at, "expected route, rpc or room; without them the policy matches nothing");
  }
  if ("room" in match && ("route" in match || "rpc" in match || "methods" in match)) {
    findings.error([...at, "room"], "a room has neither route nor RPC; write a policy of its own for it");
  }
  const { route, rpc } = match;
  if (route?.split("/").some(segment => segment.includes("**") && segment !== "**")) {
    findings.error([...at, "route"], 'in a route "**" is a whole segment; within a segment use "*"');
  }
  if (rpc !== undefined && !rpcPattern.test(rpc)) {
    const expected = "expected package.Service/Method, package.Service/* or package.**";
    findings.error([...at, "rpc"], `${expected}, found ${findings.show([...at, "rpc"], rpc)}`);
  }
}

const rpcPattern = /^([A-Za-z_][A-Za-z0-9_]*\.)*([A-Za-z_][A-Za-z0-9_]*\/(\*|[A-Za-z_][A-Za-z0-9_]*)|\*\*)$/;

function checkRequirement(at: Path, policy: DraftOf<PolicyConfig>, findings: Findings): void {
  const { require: requirement } = policy;
  if ("deny" in policy) {
    if ("require" in policy)
      findings.error([...at, "deny"], '"deny" refuses every caller; "require" has no effect');
    return;
  }
  if (!("require" in policy)) {
    findings.error(at, 'expected "require" or "deny: true"');
    return;
  }
  if (requirement === undefined) return;
  if (Object.keys(requirement).length === 0) {
    findings.error([...at, "require"], "expected scopes, any_scope, claims or rule; this requires nothing");
  }
  for (const key of ["scopes", "any_scope"] as const) {
    if (requirement[key]?.length === 0)
      findings.error([...at, "require", key], "expected at least one scope");
    requirement[key]?.forEach((scope, index) => {
      const scopePath = [...at, "require", key, index];
      // RFC 6749 section 3.3
      if (scope === undefined || /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)) return;
      const shown = findings.show(scopePath, scope);
      findings.error(
        scopePath,
        `expected a scope of printable ASCII without spaces, " and \\, found ${shown}`,
      );
    });
  }
}
