import { documentOf, operationIn, resolved } from "./documents.js";
import { badge, button, clean, el, oneLine, pathText, prose, spans } from "./dom.js";
import { fieldRow, schemaView } from "./schema-view.js";
import { TryPanel } from "./try-panel.js";

const kinds = {
  server: "streams its responses",
  client: "takes a stream of requests",
  bidi: "streams both ways",
};

/** The page of one operation. It is there at once; what the document says follows. */
export class OperationPage {
  constructor({ catalog, operation, explain }) {
    this.title = operation.name;
    this.operation = operation;
    this.catalog = catalog;
    this.details = el("div", { class: "details" }, el("p", { class: "quiet", role: "status" }, "Loading…"));
    this.side = el("div", { class: "side" });
    this.about = el("div", { class: "prose lead" }, prose(operation.comment ?? operation.summary));
    this.element = el(
      "article",
      { class: "operation-page" },
      this.#head(),
      el("div", { class: "columns" }, this.details, this.side),
    );
    void this.#load(explain);
  }

  close() {
    this.closed = true;
    this.panel?.close();
  }

  #head() {
    const { operation, catalog } = this;
    const { service, method, template, kind, protocols, auth, limits } = operation;
    const facts = [
      ["Callers", auth === undefined ? "everybody" : `with credentials of ${auth.join(" or ")}`],
      limits.length > 0 && [
        "Limits",
        limits
          .map(name => `${name}${catalog.limits[name] === undefined ? "" : `: ${catalog.limits[name]}`}`)
          .join("; "),
      ],
      protocols.length > 0 && ["Also by", `${protocols.join(", ")} on ${operation.rpc}`],
      operation.rpc !== undefined && protocols.length === 0 && ["RPC", operation.rpc],
    ].filter(Boolean);
    return el(
      "header",
      { class: "operation-head" },
      el(
        "p",
        { class: "crumbs" },
        el("a", { href: `#/service/${encodeURIComponent(service.name)}` }, service.name),
      ),
      el(
        "h1",
        { tabindex: "-1" },
        clean(operation.name),
        operation.deprecated && el("span", { class: "tag warn" }, "deprecated"),
        kind && el("span", { class: "tag" }, kinds[kind]),
      ),
      el("p", { class: "address" }, badge(method), " ", pathText(template)),
      this.about,
      el(
        "dl",
        { class: "facts" },
        facts.map(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]),
      ),
      button("Try it", () => this.#toTry(), { class: "to-try" }),
    );
  }

  /** Where there is one column, the form is below. */
  #toTry() {
    this.side.scrollIntoView();
    this.side.querySelector("input, textarea, button")?.focus({ preventScroll: true });
  }

  async #load(explain) {
    const { catalog, operation } = this;
    let document = {};
    let problem;
    try {
      document = await documentOf(operation.service.document);
    } catch (error) {
      problem = el(
        "p",
        { class: "problem", role: "alert" },
        `The document of the service could not be read. ${error.message} `,
        button("Try again", () => void this.#load(explain), { class: "small" }),
      );
    }
    if (this.closed) return;
    const described = operationIn(document, operation);
    if (described?.description !== undefined) this.about.replaceChildren(...prose(described.description));
    this.panel?.close();
    this.panel = isTried(operation)
      ? new TryPanel({ catalog, operation, document, described, explain })
      : undefined;
    this.side.replaceChildren(
      this.panel?.element ??
        el(
          "p",
          { class: "note" },
          `It is called by ${operation.protocols.join(", ")} only. This page cannot call it by these protocols.`,
        ),
    );
    this.details.replaceChildren(
      ...[
        problem,
        ...(described === undefined
          ? [problem === undefined && this.#unlisted()]
          : sections(document, described)),
      ].filter(Boolean),
    );
  }

  #unlisted() {
    const { unlisted } = this.operation;
    return el(
      "p",
      { class: "note" },
      unlisted === undefined
        ? "The OpenAPI document does not describe it."
        : `OpenAPI cannot describe it: ${unlisted}.`,
    );
  }
}

/** By REST, or by Connect with one message in JSON. */
function isTried({ rest, kind, protocols }) {
  return rest || (kind === undefined && protocols.includes("connect"));
}

function sections(document, described) {
  const parameters = (described.parameters ?? []).map(each => resolved(document, each));
  return [
    ...["path", "query", "header", "cookie"].map(place =>
      parametersOf(
        document,
        parameters.filter(each => each.in === place),
        place,
      ),
    ),
    bodyOf(document, resolved(document, described.requestBody ?? {})),
    responsesOf(document, described.responses ?? {}),
  ].filter(Boolean);
}

const places = { path: "Path", query: "Query", header: "Headers", cookie: "Cookies" };

function parametersOf(document, parameters, place) {
  if (parameters.length === 0) return undefined;
  const rows = parameters.map(({ name, schema = {}, required, description, deprecated }) =>
    fieldRow(document, name, schema, required, {
      description: description ?? schema.description,
      deprecated,
    }),
  );
  return el("section", { class: "card" }, el("h2", {}, places[place]), el("ul", { class: "fields" }, rows));
}

function bodyOf(document, body) {
  const content = Object.entries(body.content ?? {});
  if (content.length === 0) return undefined;
  return el(
    "section",
    { class: "card" },
    el("h2", {}, "Body", body.required && el("span", { class: "tag" }, "required")),
    body.description && el("div", { class: "prose" }, prose(body.description)),
    mediaOf(document, content),
  );
}

/** One schema for all media types that have the same. */
function mediaOf(document, content) {
  const groups = new Map();
  const streams = content.some(([, { schema = {} }]) => schema.contentSchema !== undefined);
  for (const [type, { schema = {} }] of content) {
    const message = schema.contentSchema ?? (streams && schema.type === "array" ? schema.items : schema);
    const key = JSON.stringify(message);
    groups.set(key, { types: [...(groups.get(key)?.types ?? []), type], schema: message });
  }
  return [...groups.values()].map(({ types, schema }) => [
    el(
      "p",
      { class: "media" },
      streams && "Each message of ",
      types.map((type, index) => [index > 0 && " ", el("code", {}, type)]),
    ),
    schemaView(document, schema),
  ]);
}

function responsesOf(document, responses) {
  const entries = Object.entries(responses).map(([status, response]) => [
    status,
    resolved(document, response),
  ]);
  if (entries.length === 0) return undefined;
  return el(
    "section",
    { class: "card" },
    el("h2", {}, "Responses"),
    entries.map(([status, response], index) =>
      responseOf(document, status, response, index === 0 || /^2/.test(status)),
    ),
  );
}

function responseOf(document, status, response, open) {
  const tone = /^2/.test(status) ? "good" : /^[34]/.test(status) ? "wait" : "bad";
  const reasons = response["x-protogate-reasons"];
  const [first] = clean(response.description ?? "").split("\n");
  const label =
    reasons === undefined
      ? first
      : `${first} ${reasons.slice(0, 3).join(", ")}${reasons.length > 3 ? ` and ${reasons.length - 3} more` : ""}`;
  const details = el(
    "details",
    { open, class: "answer" },
    el(
      "summary",
      {},
      el("span", { class: `state ${tone}` }, status === "default" ? "others" : status),
      " ",
      el("span", { class: "answer-label" }, oneLine(label, 160)),
    ),
  );
  const fill = () => {
    if (!details.open || details.childElementCount > 1) return;
    const failure = response["x-protogate-failure"];
    details.append(
      el("div", {}, mediaOf(document, Object.entries(response.content ?? {}))),
      ...describe(reasons, response.description),
      headerNames(response.headers),
      el("div", {}, exampleOf(response)),
    );
    if (failure !== undefined)
      details.append(responseOf(document, "failure", resolved(document, failure), false));
  };
  details.addEventListener("toggle", fill);
  fill();
  return details;
}

/** Nothing more than the summary says, where it is one line. */
function describe(reasons, description = "") {
  if (reasons === undefined && !description.includes("\n")) return [];
  return [
    el("div", { class: "prose" }, reasons === undefined ? prose(description) : reasonList(description)),
  ];
}

/** Lines such as "- `NOT_FOUND`: what it means". */
function reasonList(description) {
  const items = [...clean(description).matchAll(/^- `([A-Z0-9_]+)`: (.*)$/gm)];
  return items.length === 0
    ? prose(description)
    : el(
        "dl",
        { class: "reasons" },
        items.map(([, name, text]) => [el("dt", {}, el("code", {}, name)), el("dd", {}, spans(text))]),
      );
}

function headerNames(headers) {
  const entries = Object.entries(headers ?? {});
  return entries.length > 0
    ? el(
        "p",
        { class: "constraints" },
        "Headers: ",
        entries.map(([name, { description }], index) => [
          index > 0 && ", ",
          el("code", { title: description ?? "" }, name),
        ]),
      )
    : "";
}

function exampleOf({ content }) {
  const media = Object.values(content ?? {})[0];
  if (media?.example === undefined) return "";
  return el(
    "details",
    {},
    el("summary", {}, "Example"),
    el(
      "pre",
      { tabindex: "0", "aria-label": "Example of the response" },
      JSON.stringify(media.example, null, 2),
    ),
  );
}
