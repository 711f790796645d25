import { checkReference } from "../config/check.js";
import type { Path } from "../config/diagnostic.js";
import type { Findings } from "../config/findings.js";
import type { DraftOf, Loaded } from "../config/schema.js";
import { oneOrMore, section, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";
import { isReservedMetadata } from "../net/headers.js";
import type { UpstreamsConfig } from "../upstream/config.js";
import { checkPolicies, PoliciesSchema } from "./policy/config.js";
import type { ProviderCheckContext } from "./provider.js";
import type { ProviderConfig } from "./providers/providers.js";
import { providerNames, providerSchemas, providerType } from "./providers/providers.js";

/** A list of providers, one name, or `none`: read with `authNames`. */
export function authReference(description: string) {
  return oneOrMore(text("nonempty", { description: "`none`, or the name of a provider." }), { description });
}

/** `none`, or the names of providers in order. */
export type AuthNames = "none" | readonly string[];

/** The loaded value of `authReference`, in one form. */
export function authNames(auth: string | readonly string[]): AuthNames {
  if (typeof auth !== "string") return auth;
  return auth === "none" ? "none" : [auth];
}

export const AuthSchema = section(
  {
    default: Type.Unsafe<string | string[]>({
      ...authReference(
        "Authentication where neither service nor method has `auth`: `none`, or providers of which one must accept.",
      ),
      default: "none",
    }),
    providers: Type.Record(
      Type.String({ pattern: "^(?!none$)[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$" }),
      Type.Union(providerSchemas, {
        description: `An authentication provider of one of the types ${providerNames}.`,
      }),
      {
        default: {},
        propertyNames: {
          description:
            "letters, digits, _, - and ., a letter or digit first, at most 63 characters, and not none",
        },
        description: "Authentication providers by name.",
      },
    ),
    policies: PoliciesSchema,
  },
  "Authentication.",
);

export type AuthConfig = Loaded<typeof AuthSchema>;

/** The sections of the configuration that providers are made of. */
export interface AuthSections {
  readonly auth: AuthConfig;
  readonly upstreams: UpstreamsConfig;
}

export type ProvidersConfig = AuthConfig["providers"];

type ProviderDraft = DraftOf<ProviderConfig>;

export function checkAuth(
  auth: DraftOf<AuthConfig> | undefined,
  context: ProviderCheckContext,
  findings: Findings,
): void {
  checkProviderNames(["auth", "default"], auth?.default, auth?.providers, findings);
  for (const [name, provider] of Object.entries(auth?.providers ?? {})) {
    if (provider === undefined) continue;
    const path = ["auth", "providers", name];
    if ("scheme" in provider && !("header" in provider) && ("cookie" in provider || "query" in provider))
      findings.error([...path, "scheme"], "a scheme belongs to a header; add the header");
    if (provider.type !== undefined) providerType(provider.type).check?.(path, provider, context, findings);
    checkMetadataNames([...path, "claims_to_metadata"], provider, context.passedHeaders, findings);
  }
  checkPolicies(auth?.policies, findings);
}

/** Adds an error for each name (of an `authReference`) that no provider has. */
export function checkProviderNames(
  at: Path,
  auth: string | readonly (string | undefined)[] | undefined,
  providers: DraftOf<ProvidersConfig> | undefined,
  findings: Findings,
): void {
  if (auth === undefined || auth === "none") return;
  const single = typeof auth === "string";
  for (const [index, name] of (single ? [auth] : auth).entries()) {
    const path = single ? at : [...at, index];
    if (name === "none") {
      findings.error(
        path,
        '"none" cannot be combined; expected "none" without a list, or names of providers',
      );
      continue;
    }
    checkReference("provider", path, name, providers, findings, single ? ["none"] : []);
  }
}

/** Metadata made from a claim must have no other source, least of all the client. */
function checkMetadataNames(
  at: Path,
  provider: ProviderDraft,
  passed: ReadonlyMap<string, string>,
  findings: Findings,
): void {
  if (!("claims_to_metadata" in provider)) return;
  const seen = new Set<string>();
  for (const [claim, name] of Object.entries(provider.claims_to_metadata ?? {})) {
    if (name === undefined) continue;
    const path = [...at, claim];
    const shown = findings.show(path, name);
    const where = passed.get(name);
    if (isReservedMetadata(name)) {
      findings.error(path, `${shown} cannot carry a claim; the gateway and gRPC write it themselves`);
    } else if (where !== undefined) {
      findings.error(
        path,
        `${shown} is also passed from the client by ${where}, which could then forge the claim`,
      );
    } else if (seen.has(name)) {
      findings.error(path, `${shown} carries another claim already`);
    }
    seen.add(name);
  }
}
