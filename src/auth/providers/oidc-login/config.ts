import { isLoopback } from "../../../config/address.js";
import type { Path } from "../../../config/diagnostic.js";
import type { Findings } from "../../../config/findings.js";
import type { DraftOf, Loaded } from "../../../config/schema.js";
import { choice, duration, listOf, mapping, section, text } from "../../../config/schema.js";
import { Type } from "../../../config/type-builder.js";
import { claimsToMetadata } from "../fields.js";
import { checkWebUrl } from "../issuer.js";
import type { CookieSettings } from "./sealed-cookie.js";

/** Characters of a secret at least: those of 24 random bytes in base64. */
const minSecretLength = 32;
const maxSecrets = 5;

export const OidcLoginSchema = mapping(
  {
    type: choice(["oidc_login"], {
      description: "Logins of browsers at an OpenID Connect issuer, and sessions in an encrypted cookie.",
    }),
    issuer: text("webUrl", {
      description: "URL of the issuer as in its tokens; the other URLs are in its metadata.",
    }),
    client_id: text("nonempty", { description: "By which the issuer knows the gateway." }),
    client_secret: Type.Optional(
      text("secret", {
        description: "Client credentials of the gateway at the issuer. Left out: it is a public client.",
      }),
    ),
    client_auth: choice(["client_secret_basic", "client_secret_post"], {
      description: "How the client secret is sent.",
      default: "client_secret_basic",
    }),
    public_url: text("webUrl", {
      description:
        "Scheme, host and port at which browsers reach the gateway. Plain http only for this machine itself.",
    }),
    secrets: Type.Array(
      text("secret", {
        description: `At least ${minSecretLength} characters, as of \`openssl rand -base64 32\`.`,
      }),
      {
        minItems: 1,
        maxItems: maxSecrets,
        description: "Secrets of the cookies: the first encrypts, all decrypt.",
      },
    ),
    requested_scopes: listOf(text("token", { description: "A scope." }), {
      description: "The scopes to request; `offline_access` for a refresh token.",
      default: ["openid"],
    }),
    authorization_parameters: Type.Record(
      Type.String({ pattern: "^.+$" }),
      text("any", { description: "Its value." }),
      {
        default: {},
        propertyNames: { description: "the name of a parameter" },
        description: "Further parameters of the authorization request, such as `prompt: consent`.",
      },
    ),
    paths: section(
      {
        login: text("prefix", {
          description: "Where a login begins; `return_to` is a path to return to.",
          default: "/auth/login",
        }),
        callback: text("prefix", {
          description: "Where the issuer sends browsers back to.",
          default: "/auth/callback",
        }),
        logout: text("prefix", { description: "Where a session ends.", default: "/auth/logout" }),
        home: text("mount", {
          description: "Where a login without `return_to`, and a logout, lead to.",
          default: "/",
        }),
      },
      "Paths of the gateway.",
    ),
    cookie: section(
      {
        name: text("token", {
          description: "After `__Host-`, or `__Secure-` where there is a domain.",
          default: "protogate",
        }),
        domain: Type.Optional(
          text("host", { description: "All hosts below it get the session. Left out: only its own." }),
        ),
        same_site: choice(["lax", "strict", "none"], {
          description: "Which requests that other sites cause carry it.",
          default: "lax",
        }),
        ttl: Type.Unsafe<number>({
          type: "string",
          format: "duration",
          minimum: 1000,
          maximum: 30 * 86_400_000,
          description: "How long a session lasts at most.",
          default: "12h",
        }),
        idle: duration({ description: "How long a session lasts without requests.", default: "1h" }, 1000),
      },
      "The cookie of the session.",
    ),
    userinfo: Type.Boolean({
      description: "Whether the claims of the issuer's userinfo endpoint are added.",
      default: false,
    }),
    claims: Type.Optional(
      listOf(text("nonempty", { description: "The name of a claim." }), {
        description: "Claims that the session keeps beside `sub`. Left out: all but those of the protocol.",
      }),
    ),
    clock_tolerance: duration(
      { description: "How far the clocks of issuer and gateway may be apart.", default: "5s" },
      0,
    ),
    subject: text("nonempty", { description: "The claim with the subject.", default: "sub" }),
    scopes: text("nonempty", {
      description: "The claim with the scopes; `scope` has those that the issuer has granted.",
      default: "scope",
    }),
    claims_to_metadata: claimsToMetadata,
    timeout: duration({ description: "How long the issuer has to respond.", default: "5s" }),
  },
  "Who has logged in at an issuer.",
);

export type OidcLoginConfig = Loaded<typeof OidcLoginSchema>;

/** Parameters of the authorization request that the gateway itself sets. */
const ownParameters: ReadonlySet<string> = new Set([
  "client_id",
  "code_challenge",
  "code_challenge_method",
  "nonce",
  "redirect_uri",
  "response_mode",
  "response_type",
  "scope",
  "state",
]);

export function checkOidcLogin(at: Path, config: DraftOf<OidcLoginConfig>, findings: Findings): void {
  checkWebUrl([...at, "issuer"], config.issuer, "codes and tokens", findings);
  for (const [index, secret] of (config.secrets ?? []).entries())
    if (secret !== undefined && secret.length < minSecretLength)
      findings.error(
        [...at, "secrets", index],
        `the secret has ${secret.length} characters; expected at least ${minSecretLength}, such as those of openssl rand -base64 32`,
      );
  if (config.requested_scopes !== undefined && !config.requested_scopes.includes("openid"))
    findings.error(
      [...at, "requested_scopes"],
      "expected openid among the scopes: without it there is no ID token",
    );
  for (const name of Object.keys(config.authorization_parameters ?? {}))
    if (ownParameters.has(name))
      findings.error([...at, "authorization_parameters", name], "the gateway sets this parameter itself");
  checkPaths([...at, "paths"], config.paths, findings);
  checkPublicUrl(at, config, findings);
}

function checkPaths(
  at: Path,
  paths: DraftOf<OidcLoginConfig["paths"]> | undefined,
  findings: Findings,
): void {
  const seen = new Set<string>();
  for (const key of ["login", "callback", "logout"] as const) {
    const path = paths?.[key];
    if (path === undefined) continue;
    if (seen.has(path)) findings.error([...at, key], "another path of the login is the same");
    if (path === "") findings.error([...at, key], "expected a path such as /auth/login, not the root");
    seen.add(path);
  }
}

function checkPublicUrl(at: Path, config: DraftOf<OidcLoginConfig>, findings: Findings): void {
  const { public_url: written, cookie } = config;
  if (written === undefined || !URL.canParse(written)) return;
  const url = new URL(written);
  if (url.href !== `${url.origin}/`)
    findings.error(
      [...at, "public_url"],
      "expected scheme, host and port alone, such as https://shop.example.com",
    );
  const secure = url.protocol === "https:";
  if (!secure && !isLoopback(url.hostname.replace(/^\[|\]$/g, "")))
    findings.error(
      [...at, "public_url"],
      "browsers would send the session without TLS; expected an https URL",
    );
  if (!secure && cookie?.same_site === "none")
    findings.error(
      [...at, "cookie", "same_site"],
      "browsers take same_site: none only with an https public_url",
    );
  const domain = cookie?.domain?.toLowerCase();
  if (domain !== undefined && url.hostname !== domain && !url.hostname.endsWith(`.${domain}`))
    findings.error(
      [...at, "cookie", "domain"],
      `browsers refuse it, as ${url.hostname} of public_url is not below it`,
    );
}

/** Scheme, host and port. */
export function publicOrigin({ public_url: url }: Pick<OidcLoginConfig, "public_url">): string {
  return new URL(url).origin;
}

/** The default target of a login and a logout: a path of the gateway. */
export function homePath({ paths }: OidcLoginConfig): string {
  return paths.home || "/";
}

/** Of the session. */
export function sessionCookie(config: OidcLoginConfig): CookieSettings {
  const { name, domain, same_site: sameSite } = config.cookie;
  const secure = publicOrigin(config).startsWith("https:");
  const prefix = !secure ? "" : domain === undefined ? "__Host-" : "__Secure-";
  const words = { lax: "Lax", strict: "Strict", none: "None" } as const;
  return { name: `${prefix}${name}`, domain, sameSite: words[sameSite], secure };
}

/** Of the logins that a browser has begun. It must come with the redirect from the issuer. */
export function loginCookie(config: OidcLoginConfig): CookieSettings {
  const secure = publicOrigin(config).startsWith("https:");
  const name = `${secure ? "__Host-" : ""}${config.cookie.name}-login`;
  return { name, domain: undefined, sameSite: "Lax", secure };
}
