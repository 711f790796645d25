import Type from "typebox";
import { authReference, checkProviderNames, type ProvidersConfig } from "../auth/config.js";
import type { Findings } from "../config/findings.js";
import type { DraftOf, Loaded } from "../config/schema.js";
import { choice, listOf, mapping, text } from "../config/schema.js";

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
        "Who may read them: `none`, or providers of which one must accept. Without it, as `auth.default` says.",
      ),
    ),
    listeners: listOf(choice(["http", "realtime"], { description: "A listener." }), {
      description: "Which listeners serve them; each serves the document of what it serves itself.",
      default: ["http"],
    }),
  },
  "Documents of the API: OpenAPI, made of what the gateway serves. Left out, there are none.",
);

export type DocsConfig = Loaded<typeof DocsSchema>;

/** The sections of the configuration that `http.docs` refers to. */
interface DocsSections {
  readonly http: { readonly docs: DocsConfig };
  readonly auth: { readonly providers: ProvidersConfig };
  readonly listeners: { readonly realtime: unknown };
}

export function checkDocs(draft: DraftOf<DocsSections>, findings: Findings): void {
  const docs = draft.http?.docs;
  if (docs === undefined) return;
  const at = ["http", "docs"];
  checkProviderNames([...at, "auth"], docs.auth, draft.auth?.providers, findings);
  if (docs.openapi === "")
    findings.error([...at, "openapi"], 'expected a path such as /openapi.json, found ""');
  if (docs.path === "") findings.error([...at, "path"], 'expected a path such as /docs, found ""');
  if (docs.path !== undefined && docs.path === docs.openapi)
    findings.error([...at, "path"], "the OpenAPI document has that path already; expected another");
  const realtime = docs.listeners?.indexOf("realtime") ?? -1;
  if (realtime >= 0 && draft.listeners?.realtime === undefined)
    findings.error([...at, "listeners", realtime], "there is no listeners.realtime");
}
