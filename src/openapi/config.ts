import { authReference, checkProviderNames, type ProvidersConfig } from "../auth/config.js";
import type { Findings } from "../config/findings.js";
import { nearest } from "../config/nearest.js";
import type { DraftOf, Loaded } from "../config/schema.js";
import { listOf, mapping, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";

/** `http.docs`. */
export const DocsSchema = mapping(
  {
    path: Type.Optional(
      text("prefix", {
        description: "Where the documents page is served, such as /docs. Left out, there is no page.",
      }),
    ),
    openapi: text("prefix", {
      description:
        "Where the OpenAPI document is served: as JSON, and as YAML for a client that accepts application/yaml; with the extension .yaml always as YAML.",
      default: "/openapi.json",
    }),
    title: text("nonempty", { description: "The title of the document and of the page.", default: "API" }),
    auth: Type.Optional(
      authReference(
        "Authentication: `none`, or providers of which one must accept. Left out: `auth.default`.",
      ),
    ),
    listeners: listOf(
      text("listenerName", { description: "`http`, `realtime`, or a name of `listeners.http`." }),
      {
        description:
          "Which listeners serve them, `http` for all of `listeners.http`; each serves the document of what it serves itself.",
        default: ["http"],
      },
    ),
  },
  "The OpenAPI document of the served API, and the documents page. Left out: neither is served.",
);

export type DocsConfig = Loaded<typeof DocsSchema>;

/** The sections of the configuration that `http.docs` refers to. */
interface DocsSections {
  readonly http: { readonly docs: DocsConfig };
  readonly auth: { readonly providers: ProvidersConfig };
  readonly listeners: { readonly realtime: unknown };
}

/** @param http the names under `listeners.http` */
export function checkDocs(draft: DraftOf<DocsSections>, http: readonly string[], findings: Findings): void {
  const docs = draft.http?.docs;
  if (docs === undefined) return;
  const at = ["http", "docs"];
  checkProviderNames([...at, "auth"], docs.auth, draft.auth?.providers, findings);
  if (docs.openapi === "")
    findings.error([...at, "openapi"], 'expected a path such as /openapi.json, found ""');
  if (docs.path === "") findings.error([...at, "path"], 'expected a path such as /docs, found ""');
  if (docs.path !== undefined && docs.path === docs.openapi)
    findings.error([...at, "path"], "the OpenAPI document has that path already; expected another");
  const known = [...new Set([...http, "http", "realtime"])];
  docs.listeners?.forEach((name, index) => {
    const path = [...at, "listeners", index];
    if (name === "realtime" && draft.listeners?.realtime === undefined)
      findings.error(path, "there is no listeners.realtime");
    else if (name !== undefined && !known.includes(name)) {
      const message = `expected ${alternatives(known)}, found ${findings.show(path, name)}`;
      findings.error(path, message, { suggestion: nearest(name, known) });
    }
  });
}

function alternatives(names: readonly string[]): string {
  return `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}
