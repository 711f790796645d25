import Type from "typebox";
import type { Loaded } from "../config/schema.js";
import { choice, duration, listOf, mapping, oneOrMore, section, text } from "../config/schema.js";
import type { UpstreamsConfig } from "../upstream/config.js";
import { PoliciesSchema } from "./policy/config.js";

/** A list of providers, one name, or `none`: read with `authNames`. */
export function authReference(description: string) {
  return oneOrMore(text("nonempty", { description: "`none`, or the name of a provider." }), { description });
}

/** Who is asked: `none`, or the names of providers in order. */
export type AuthNames = "none" | readonly string[];

/** What `authReference` has loaded, in one form. */
export function authNames(auth: string | readonly string[]): AuthNames {
  if (typeof auth !== "string") return auth;
  return auth === "none" ? "none" : [auth];
}

/** Where the credential stands in a request. */
const placement = {
  header: Type.Optional(text("header", { description: "Request header that carries it." })),
  scheme: Type.Optional(
    text("token", {
      description:
        "The word before it in the header, such as Bearer. Left out: Bearer in `authorization`, none in other headers.",
    }),
  ),
  cookie: Type.Optional(text("token", { description: "Cookie that carries it." })),
  query: Type.Optional(
    text("nonempty", {
      description: "Query parameter that carries it. URLs are logged in many places: prefer a header.",
    }),
  ),
};

const cacheSize = Type.Integer({
  minimum: 2,
  maximum: 10_000_000,
  default: 10_000,
  description: "How many credentials are remembered at most.",
});

const claimsToMetadata = Type.Record(
  Type.String({ pattern: "^.+$" }),
  text("header", { description: "Name of the metadata." }),
  {
    default: {},
    propertyNames: { description: "the name of a claim, dots for nested ones" },
    description:
      "What the backend is told, metadata name by claim. Lists are joined by commas, objects are JSON; what is not printable ASCII is percent-encoded.",
  },
);

/** Asymmetric algorithms of RFC 7518 §3.1 and RFC 8037 by the kind of key that they need. */
export const asymmetricAlgorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
] as const;
/** Algorithms with a shared secret. */
export const secretAlgorithms = ["HS256", "HS384", "HS512"] as const;

export type JwtAlgorithm = (typeof asymmetricAlgorithms)[number] | (typeof secretAlgorithms)[number];

const JwtSchema = mapping(
  {
    type: choice(["jwt"], { description: "JSON Web Tokens (RFC 7519)." }),
    jwks: Type.Optional(
      text("pathOrUrl", { description: "The issuer's keys: URL of its JWK set, or a file." }),
    ),
    public_key: Type.Optional(
      text("pathOrPem", {
        description: "The issuer's public key or certificate: a PEM file, or PEM itself.",
      }),
    ),
    secret: Type.Optional(
      text("secret", { description: "Secret shared with the issuer, for HS256 to HS512." }),
    ),
    algorithms: Type.Unsafe<JwtAlgorithm[]>({
      type: "array",
      items: choice([...asymmetricAlgorithms, ...secretAlgorithms], { description: "An algorithm." }),
      uniqueItems: true,
      minItems: 1,
      description: "The algorithms that are accepted, whatever a token says.",
    }),
    issuer: Type.Optional(
      oneOrMore(text("nonempty", { description: "An issuer." }), { description: "What `iss` must be." }),
    ),
    audience: Type.Optional(
      oneOrMore(text("nonempty", { description: "An audience." }), {
        description: "What `aud` must be, or must have one of.",
      }),
    ),
    clock_tolerance: duration(
      { description: "How far the clocks of issuer and gateway may be apart.", default: "5s" },
      0,
    ),
    max_age: Type.Optional(duration({ description: "How old a token may be by its `iat`." }, 1000)),
    required_claims: listOf(text("nonempty", { description: "A claim." }), {
      description: "Claims that a token must have. Without `exp` among them, tokens may be valid for ever.",
      default: ["exp"],
    }),
    subject: text("nonempty", { description: "The claim that says who calls.", default: "sub" }),
    scopes: text("nonempty", {
      description: "The claim with the scopes: a text with spaces between them, or a list.",
      default: "scope",
    }),
    ...placement,
    claims_to_metadata: claimsToMetadata,
    refresh: duration({ description: "How often `jwks` is fetched.", default: "5m" }, 1000),
    cooldown: duration(
      { description: "Least time between two fetches of `jwks` for unknown keys.", default: "30s" },
      1000,
    ),
    cache: duration(
      {
        description: "How long a verified token is taken as such, within its lifetime; 0s: not at all.",
        default: "5m",
      },
      0,
    ),
    cache_size: cacheSize,
  },
  "Who has a token of an issuer.",
);

const ApiKeySchema = mapping(
  {
    type: choice(["api_key"], { description: "Keys from a file." }),
    keys: text("path", {
      description:
        "YAML file with a list of keys: hash, subject, scopes, metadata, expires. Read again when it changes.",
    }),
    ...placement,
  },
  "Who has a key that the gateway knows the hash of.",
);

const RpcSchema = mapping(
  {
    type: choice(["rpc"], { description: "A method of a backend." }),
    upstream: text("nonempty", { description: "Name of the upstream." }),
    method: text("rpcMethod", { description: "The unary method to ask, `package.Service/Method`." }),
    token_field: text("field", { description: "String field of its request that takes the credential." }),
    subject_field: Type.Optional(
      text("field", {
        description: "Field of its reply that says who calls. Left out: sub, subject or user_id.",
      }),
    ),
    scopes_field: Type.Optional(
      text("field", {
        description: "Field of its reply with the scopes. Left out: scope or scopes, if there is one.",
      }),
    ),
    claims_field: Type.Optional(
      text("field", {
        description:
          "Message, map or Struct field of its reply with the claims. Left out: the whole reply, by JSON names.",
      }),
    ),
    timeout: Type.Optional(duration({ description: "Deadline of the call, in place of the upstream's." })),
    cache: duration(
      { description: "How long an answer is taken for the same credential; 0s: not at all.", default: "30s" },
      0,
    ),
    cache_size: cacheSize,
    metadata: listOf(text("header", { description: "A header name, in any case." }), {
      description:
        "Request headers that are sent along as metadata. They are no part of what an answer is remembered by.",
      default: [],
    }),
    ...placement,
    claims_to_metadata: claimsToMetadata,
  },
  "Whom a method of a backend accepts.",
);

const MtlsSchema = mapping(
  {
    type: choice(["mtls"], {
      description: "Client certificates, which `listeners.http.tls.client_ca` verifies.",
    }),
    subject_from: choice(["subject", "cn", "dns", "uri", "email", "fingerprint"], {
      description:
        "What of the certificate says who calls: its subject, the common name in it, an alternative name, or its SHA-256.",
      default: "subject",
    }),
    allow: Type.Optional(
      Type.Array(text("nonempty", { description: "A subject; `*` stands for any text." }), {
        minItems: 1,
        description: "The subjects that are accepted. Left out, all that the authorities have certified.",
      }),
    ),
    claims_to_metadata: claimsToMetadata,
  },
  "Who has a certificate of an authority that the listener trusts.",
);

export const AuthSchema = section(
  {
    default: Type.Unsafe<string | string[]>({
      ...authReference(
        "Who may call where neither service nor method says: `none`, or providers of which one must accept.",
      ),
      default: "none",
    }),
    providers: Type.Record(
      Type.String({ pattern: "^(?!none$)[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$" }),
      Type.Union([JwtSchema, ApiKeySchema, RpcSchema, MtlsSchema], {
        description: "A way to establish who calls: one of the types jwt, api_key, rpc and mtls.",
      }),
      {
        default: {},
        propertyNames: {
          description:
            "letters, digits, _, - and ., a letter or digit first, at most 63 characters, and not none",
        },
        description: "Ways to establish who calls, by the name that the rest of the file knows them by.",
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
export type ProviderConfig = ProvidersConfig[string];
export type JwtConfig = Extract<ProviderConfig, { type: "jwt" }>;
export type ApiKeyConfig = Extract<ProviderConfig, { type: "api_key" }>;
export type RpcAuthConfig = Extract<ProviderConfig, { type: "rpc" }>;
export type MtlsConfig = Extract<ProviderConfig, { type: "mtls" }>;
