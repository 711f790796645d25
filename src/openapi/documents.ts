import { authNames } from "../auth/config.js";
import type { LocalHandler, LocalRequest, LocalResponse } from "../bindings/built-in-route.js";
import { requestFailure, TranscodeError } from "../codec/error.js";
import { eachParameter } from "../codec/json-to-wire/query.js";
import { nearest } from "../config/nearest.js";
import { statusDialect } from "../dialects/status.js";
import { createPace, inTurns } from "../net/pace.js";
import { GatewayError, gatewayError } from "../status/failure.js";
import type { DocsConfig } from "./config.js";
import { DocumentTooLarge, describeApi } from "./document.js";
import { type Prepared, prepare, respond } from "./prepared.js";
import type { ApiSource } from "./source.js";
import { type DocumentFormat, documentText } from "./text.js";

/** Bytes of one document. */
const maxDocumentBytes = 64 * 1024 * 1024;

/** Bytes of all documents that are kept, compressed and not. */
const maxKeptBytes = 96 * 1024 * 1024;

const contentTypes: Readonly<Record<DocumentFormat, string>> = {
  json: "application/json",
  yaml: "application/yaml",
};

/**
 * The text of a document.
 * @param service of one service alone; undefined for all
 * @throws GatewayError
 */
export async function openApiText(
  source: ApiSource,
  service: string | undefined,
  format: DocumentFormat,
  maxChars = maxDocumentBytes,
): Promise<Buffer> {
  const chosen = service === undefined ? source : ofService(source, service);
  const pace = createPace();
  try {
    const api = await inTurns(pace, describeApi(chosen, maxChars));
    return await inTurns(pace, documentText(api, format));
  } catch (error) {
    if (!(error instanceof DocumentTooLarge)) throw error;
    const message = `the document is larger than ${maxChars / 1024 / 1024} MiB; request that of one service or package: ?index lists them`;
    throw gatewayError("DOCUMENT_TOO_LARGE", message);
  }
}

/** @throws GatewayError where no service has that name */
function ofService(source: ApiSource, service: string): ApiSource {
  const prefix = service.endsWith(".**") ? service.slice(0, -2) : undefined;
  const takes = (name: string): boolean =>
    prefix === undefined ? name === service : name.startsWith(prefix);
  const routes = source.routes.filter(({ rpc }) => takes(rpc.service.fullName));
  if (routes.length > 0) return { ...source, title: `${source.title}: ${service}`, routes, builtIn: [] };
  const names = new Set(source.routes.map(({ rpc }) => rpc.service.fullName));
  const name = service.slice(0, 256);
  const near = nearest(name, names);
  const hint = near === undefined ? "" : `; did you mean "${near}"?`;
  const message = `no service "${name}" is served here; expected one of ${names.size} full names, or package.**${hint}`;
  throw gatewayError("UNKNOWN_PARAMETER", message);
}

/** Documents of one generation that were requested, as many as fit. */
export class KeptDocuments {
  /** The least recently used first. */
  readonly #kept = new Map<string, Promise<Prepared>>();
  #bytes = 0;
  #owners = 0;

  /** The part of all keys of one owner. */
  owner(): number {
    return this.#owners++;
  }

  /** @throws GatewayError by rejection, as `prepare` does; then it is called again the next time */
  async get(key: string, prepare: () => Promise<Prepared>): Promise<Prepared> {
    let prepared = this.#kept.get(key);
    if (prepared === undefined) {
      prepared = prepare();
      this.#kept.set(key, prepared);
      prepared.then(
        document => this.#keep(key, document),
        () => this.#kept.delete(key),
      );
    } else {
      this.#kept.delete(key);
      this.#kept.set(key, prepared);
    }
    return prepared;
  }

  #keep(key: string, { plain, gzipped }: Prepared): void {
    if (!this.#kept.has(key)) return;
    this.#bytes += plain.length + gzipped.length;
    for (const [other, document] of this.#kept) {
      if (this.#bytes <= maxKeptBytes || other === key) return;
      this.#kept.delete(other);
      void document.then(each => {
        this.#bytes -= each.plain.length + each.gzipped.length;
      });
    }
  }
}

/** The documents of one listener or host and one generation, each made at its first request, in several turns. */
export class Documents {
  readonly #source: () => ApiSource;
  readonly #kept: KeptDocuments;
  readonly #owner: number;

  /** @param kept shared by all listeners and hosts of a generation */
  constructor(source: () => ApiSource, kept = new KeptDocuments()) {
    this.#source = source;
    this.#kept = kept;
    this.#owner = kept.owner();
  }

  /** The services that have documents of their own, with their operations. */
  services(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { rpc } of this.#source().routes) {
      const name = rpc.service.fullName;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return counts;
  }

  /** @throws GatewayError by rejection */
  get(service: string | undefined, format: DocumentFormat): Promise<Prepared> {
    return this.#kept.get(`${this.#owner} ${format} ${service ?? ""}`, async () =>
      prepare(contentTypes[format], await openApiText(this.#source(), service, format)),
    );
  }
}

/** The routes of the documents of one listener. */
export function documentEndpoints(docs: DocsConfig, documents: Documents): readonly LocalHandler[] {
  const endpoint = (template: string, formatOf: (request: LocalRequest) => DocumentFormat): LocalHandler => ({
    method: "GET",
    template,
    at: ["http", "docs", "openapi"],
    service: "openapi",
    auth: docs.auth === undefined ? undefined : authNames(docs.auth),
    rateLimit: undefined,
    dialect: statusDialect,
    bodyLimit: 0,
    handle: async request => {
      const requested = requestedService(request.query);
      if (requested === allServices) return listServices(docs.openapi, documents.services());
      return respond(request, await documents.get(requested, formatOf(request)));
    },
  });
  const yaml = yamlPath(docs.openapi);
  return [
    endpoint(docs.openapi, request => (docs.openapi === yaml ? "yaml" : acceptedFormat(request))),
    ...(docs.openapi === yaml ? [] : [endpoint(yaml, () => "yaml")]),
  ];
}

/** Means the list of services, instead of a service. */
const allServices = Symbol("all services");

function listServices(path: string, services: ReadonlyMap<string, number>): LocalResponse {
  const documents = [...services].map(([service, operations]) => ({
    service,
    operations,
    openapi: `${path}?service=${service}`,
  }));
  return {
    status: 200,
    headers: [
      ["content-type", "application/json"],
      ["cache-control", "no-cache"],
    ],
    body: JSON.stringify({ documents }),
  };
}

/** The path of the YAML next to the JSON. */
function yamlPath(path: string): string {
  return path.endsWith(".yaml") || path.endsWith(".yml") ? path : `${path.replace(/\.json$/, "")}.yaml`;
}

/** JSON, unless the client names YAML and not JSON. */
function acceptedFormat(request: LocalRequest): DocumentFormat {
  const accept = request.header("accept")?.toLowerCase() ?? "";
  return /\b(yaml|x-yaml)\b/.test(accept) && !/json/.test(accept) ? "yaml" : "json";
}

/** The requested document by the query: a service, a package, or the list of services. @throws GatewayError */
function requestedService(query: string): string | typeof allServices | undefined {
  let requested: string | typeof allServices | undefined;
  const read = (name: string, value: string): void => {
    if (name !== "service" && name !== "index")
      throw gatewayError("UNKNOWN_PARAMETER", `expected "service" or "index", found "${name.slice(0, 64)}"`);
    if (requested !== undefined)
      throw gatewayError("REPEATED_PARAMETER", "send one of service and index, once");
    requested = name === "index" ? allServices : value;
  };
  try {
    eachParameter(query, read);
  } catch (error) {
    throw error instanceof TranscodeError ? new GatewayError(requestFailure(error)) : error;
  }
  return requested;
}
