import type { BindingSections } from "../bindings/service-config.js";
import type { Path } from "../config/diagnostic.js";
import type { Findings } from "../config/findings.js";
import type { DraftOf, Loaded } from "../config/schema.js";
import { duration, listOf, mapping, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";
import { ownHeaders, ownResponseHeaders } from "../net/headers.js";

const header = text("header", { description: "A header name, in any case." });

/** `http.cors`. */
export const CorsSchema = mapping(
  {
    origins: Type.Array(
      text("nonempty", {
        description:
          'An origin as browsers send it, such as https://app.example.com or http://localhost:5173; https://*.example.com for every host below; "*" for all, without credentials.',
      }),
      { minItems: 1, maxItems: 1000, description: "The pages that may read responses." },
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
      { description: "How long a browser may keep the response to a preflight.", default: "10m" },
      0,
    ),
  },
  "Which pages of other origins may call (CORS). Left out: none.",
);

/** `http.security_headers`. */
export const SecurityHeadersSchema = Type.Record(
  Type.String({ pattern: "^[A-Za-z0-9_.-]{1,128}$" }),
  text("any", { description: 'The value; "" leaves the header out.' }),
  {
    default: {},
    propertyNames: { description: "a header name of letters, digits, -, _ and ." },
    description:
      "Headers of every response, beside `x-content-type-options: nosniff`. `strict-transport-security` is sent over TLS only.",
  },
);

export type CorsConfig = Loaded<typeof CorsSchema>;
export type SecurityHeadersConfig = Loaded<typeof SecurityHeadersSchema>;

/** The sections that the checks read. */
type ResponseHeaderSections = DraftOf<
  Pick<BindingSections, "services"> & {
    http: { cors?: CorsConfig; security_headers: SecurityHeadersConfig };
  }
>;

/** Checks `http.cors` and `http.security_headers`, and that no backend's metadata has the same headers. */
export function checkResponseHeaders(draft: ResponseHeaderSections, findings: Findings): void {
  checkOrigins(draft, findings);
  checkSecurityHeaders(draft, findings);
}

function checkOrigins({ http, services }: ResponseHeaderSections, findings: Findings): void {
  const cors = http?.cors;
  if (cors === undefined) return;
  cors.origins?.forEach((origin, index) => {
    if (origin === undefined) return;
    const path = ["http", "cors", "origins", index];
    const shown = findings.show(path, origin);
    if (origin === "*" || origin === "null") {
      if (cors.credentials !== true) return;
      const why = origin === "*" ? "every page" : "every sandboxed page";
      findings.error(path, `${shown} is ${why}, which credentials: true does not go with`);
      return;
    }
    const suggestion = originOf(origin);
    if (suggestion === origin) return;
    const expected =
      "an origin such as https://app.example.com, http://localhost:5173 or https://*.example.com";
    findings.error(path, `expected ${expected}, found ${shown}`, { suggestion });
  });
  for (const [path, name] of passedOn(services)) {
    if (!name.startsWith("access-control-")) continue;
    findings.error(path, `${findings.show(path, name)} cannot be passed on; http.cors writes it`);
  }
}

/** The origin that a text must mean, as browsers send it; undefined where there is none. */
function originOf(text: string): string | undefined {
  const wildcard = /^([a-z]+:\/\/)\*\.(.*)$/i.exec(text);
  if (wildcard !== null) {
    const host = originOf(`${wildcard[1]}${wildcard[2]}`);
    return host?.replace("://", "://*.");
  }
  if (text.includes("*")) return undefined;
  try {
    const { protocol, origin, host } = new URL(text);
    if (host === "") return undefined;
    // Schemes of browser extensions and of applications have no origin of their own for URL.
    return origin === "null" ? `${protocol}//${host}` : origin;
  } catch {
    return undefined;
  }
}

function checkSecurityHeaders({ http, services }: ResponseHeaderSections, findings: Findings): void {
  const configured = Object.entries(http?.security_headers ?? {});
  for (const [name, value] of configured) {
    const path = ["http", "security_headers", name];
    const lower = name.toLowerCase();
    if (isWritten(lower))
      findings.error(path, `${findings.show(path, name)} is not for this list; the gateway writes it itself`);
    if (value !== undefined && !/^[\t\x20-\x7e]*$/.test(value))
      findings.error(
        path,
        `expected a value of printable ASCII characters, found ${findings.show(path, value)}`,
      );
  }
  const sent = new Map(configured.map(([name, value]) => [name.toLowerCase(), value]));
  for (const [path, name] of passedOn(services)) {
    if (!(sent.get(name) ?? name === "x-content-type-options")) continue;
    findings.error(
      path,
      `${findings.show(path, name)} is sent by http.security_headers already; set it to "" there`,
    );
  }
}

function isWritten(name: string): boolean {
  return (
    ownHeaders.has(name) ||
    ownResponseHeaders.has(name) ||
    written.has(name) ||
    name.startsWith("access-control-")
  );
}

const written: ReadonlySet<string> = new Set(["set-cookie", "vary", "www-authenticate"]);

/** All metadata of a response that becomes a response header. */
function* passedOn(services: ResponseHeaderSections["services"]): Generator<[path: Path, name: string]> {
  for (const [index, service] of (services ?? []).entries()) {
    const at = ["services", index];
    const sections: [Path, NonNullable<typeof service>["metadata"]][] = [[at, service?.metadata]];
    for (const [name, method] of Object.entries(service?.methods ?? {}))
      sections.push([[...at, "methods", name], method?.metadata]);
    for (const [section, metadata] of sections)
      for (const [position, name] of (metadata?.response ?? []).entries())
        if (name !== undefined) yield [[...section, "metadata", "response", position], name];
  }
}
