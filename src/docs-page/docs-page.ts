import { authNames } from "../auth/config.js";
import type { LocalHandler, LocalRequest, LocalResponse } from "../bindings/built-in-route.js";
import { statusDialect } from "../dialects/status.js";
import { type ExplainSource, explainRequest } from "../explain/explanation.js";
import { createPace, inTurns } from "../net/pace.js";
import { type PageFile, pageFiles, pagePolicy } from "../net/page-files.js";
import type { DocsConfig } from "../openapi/config.js";
import { Documents } from "../openapi/documents.js";
import { type Prepared, prepare, respond } from "../openapi/prepared.js";
import { type CatalogSource, makeCatalog } from "./catalog.js";
import { maxExplainBytes, writtenRequest } from "./written-request.js";

/** The sources of the page of one listener, in one generation. */
export interface PageSource {
  readonly catalog: Omit<CatalogSource, "path" | "openapi">;
  /** Made at its first use. */
  explain(): Promise<ExplainSource>;
}

const security: LocalResponse["headers"] = [
  ["content-security-policy", pagePolicy],
  ["referrer-policy", "no-referrer"],
  ["cross-origin-opener-policy", "same-origin"],
  ["cross-origin-resource-policy", "same-origin"],
];

/**
 * The routes of the documents page of one listener.
 * @param path of the page
 * @param source called when requests come
 */
export function pageEndpoints(
  docs: DocsConfig,
  path: string,
  source: () => PageSource,
): readonly LocalHandler[] {
  const endpoint = (
    method: "GET" | "POST",
    name: string,
    handle: (request: LocalRequest) => Promise<LocalResponse>,
  ): LocalHandler => ({
    method,
    template: `${path}${name}`,
    at: ["http", "docs", "path"],
    service: "docs",
    auth: docs.auth === undefined ? undefined : authNames(docs.auth),
    rateLimit: undefined,
    dialect: statusDialect,
    bodyLimit: method === "POST" ? maxExplainBytes : 0,
    partOfPage: name !== "",
    handle: async request => secured(await handle(request)),
  });
  const served = (name: string, make: () => Promise<Prepared>): LocalHandler => {
    const prepared = once(make);
    return endpoint("GET", name, async request => respond(request, await prepared()));
  };
  const explainer = once(() => source().explain());
  const gateway = new Documents(() => ({ ...source().catalog.api, routes: [] }));
  return [
    ...pageAssets(path, docs.title).map(({ name, contentType, bytes }) =>
      served(name, () => prepare(contentType, bytes)),
    ),
    served("/catalog.json", () => catalogOf({ ...source().catalog, path, openapi: docs.openapi })),
    served("/gateway.json", () => gateway.get(undefined, "json")),
    endpoint("POST", "/explain", async request => {
      const explanation = await explainRequest(await explainer(), writtenRequest(request));
      const headers = [
        ["content-type", "application/json"],
        ["cache-control", "no-store"],
      ] as const;
      return { status: 200, headers, body: JSON.stringify(explanation) };
    }),
  ];
}

function secured({ status, headers, body }: LocalResponse): LocalResponse {
  return { status, headers: [...headers, ...security], body };
}

async function catalogOf(source: CatalogSource): Promise<Prepared> {
  const pace = createPace();
  const { services, ...others } = await inTurns(pace, makeCatalog(source));
  const pieces: string[] = [];
  for (const service of services) {
    pieces.push(JSON.stringify(service));
    if (pace.spent(service.operations.length * 5)) await pace.nextTurn();
  }
  const text = `${JSON.stringify(others).slice(0, -1)},"services":[${pieces.join(",")}]}`;
  return prepare("application/json", Buffer.from(text));
}

/** The same for all callers, made for the first one; made anew where that failed. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    if (made === undefined) {
      made = make();
      made.catch(() => {
        made = undefined;
      });
    }
    return made;
  };
}

let files: readonly PageFile[] | undefined;

/**
 * The files of the page, for where it is served. They are read once.
 * @returns each with its name below the path of the page; empty for the page itself
 */
function pageAssets(path: string, title: string): readonly PageFile[] {
  files ??= pageFiles(new URL("./assets/", import.meta.url));
  return files.map(({ name, contentType, bytes }) => {
    if (name !== "index.html") return { name: `/${name}`, contentType, bytes };
    const html = bytes
      .toString()
      .replaceAll("{{path}}", () => escaped(path))
      .replaceAll("{{title}}", () => escaped(title));
    return { name: "", contentType, bytes: Buffer.from(html) };
  });
}

/** Text of the configuration in markup. */
function escaped(text: string): string {
  return text.replace(/[&<>"'`]/g, char => `&#${char.charCodeAt(0)};`);
}
