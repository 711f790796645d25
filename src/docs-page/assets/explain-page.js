import { secretNames } from "./credentials.js";
import { readJson } from "./documents.js";
import { announce, badge, button, clean, copyable, el, field, oneLine, pathText } from "./dom.js";
import { headersOf, parsePasted } from "./request.js";

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/** What somebody last wrote, so that it is still there when they come back. */
let last = { method: "GET", target: "/", headers: [], body: "" };

/** What becomes of a request: nothing is called. */
export class ExplainPage {
  /** @param request from where it was tried; undefined for the last one */
  constructor({ catalog, request }) {
    this.title = "Explain a request";
    this.catalog = catalog;
    if (request !== undefined) last = request;
    this.method = el("input", { type: "text", list: "methods", autocomplete: "off", spellcheck: "false" });
    this.target = el("input", { type: "text", autocomplete: "off", spellcheck: "false" });
    this.headers = el("textarea", {
      rows: "3",
      class: "code",
      spellcheck: "false",
      placeholder: "name: value",
    });
    this.body = el("textarea", { rows: "6", class: "code", spellcheck: "false" });
    this.pasted = el("textarea", {
      rows: "3",
      class: "code",
      spellcheck: "false",
      placeholder: "curl https://… or GET /v1/… HTTP/1.1",
      onpaste: () => setTimeout(() => this.#read(true)),
    });
    this.problem = el("p", { class: "problem", role: "alert" });
    this.result = el("div", { class: "explanation", "aria-live": "polite" });
    this.element = el(
      "article",
      { class: "explain" },
      el("h1", { tabindex: "-1" }, "Explain a request"),
      el(
        "p",
        { class: "lead" },
        "Shows which route a request matches, the field of each value, and which checks it must pass. No backend is called.",
      ),
      el(
        "div",
        { class: "columns" },
        el(
          "form",
          {
            class: "card form",
            onsubmit: event => {
              event.preventDefault();
              void this.#explain();
            },
          },
          field("Paste a request", this.pasted, {
            hint: "A curl command, or a raw HTTP request.",
          }),
          el(
            "div",
            { class: "row" },
            button("Read it", () => this.#read(false)),
          ),
          el(
            "datalist",
            { id: "methods" },
            methods.map(value => el("option", { value })),
          ),
          el("div", { class: "line" }, field("Method", this.method), field("Path and query", this.target)),
          field("Headers, one per line", this.headers, {
            hint: "Credentials are not sent, only whether there are any.",
          }),
          field("Body", this.body),
          el("div", { class: "row" }, el("button", { type: "submit", class: "primary" }, "Explain")),
          this.problem,
        ),
        this.result,
      ),
    );
    this.#fill(last);
    if (request !== undefined) void this.#explain();
  }

  close() {}

  #fill({ method, target, headers, body }) {
    this.method.value = method;
    this.target.value = target;
    this.headers.value = headers.map(([name, value]) => `${name}: ${value}`).join("\n");
    this.body.value = body ?? "";
  }

  #read(quietly) {
    this.problem.textContent = "";
    if (this.pasted.value.trim() === "" && quietly) return;
    try {
      this.#fill(parsePasted(this.pasted.value));
      this.pasted.value = "";
      void this.#explain();
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }

  async #explain() {
    this.problem.textContent = "";
    try {
      last = {
        method: this.method.value.trim().toUpperCase(),
        target: this.target.value.trim(),
        headers: headersOf(this.headers.value),
        body: this.body.value,
      };
      const answer = await readJson(this.catalog.explain, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(withoutSecrets(last, secretNames(this.catalog.providers))),
      });
      this.result.replaceChildren(...explanationView(answer, this.catalog));
      announce("The request is explained");
    } catch (error) {
      this.problem.textContent = error.message;
      this.result.replaceChildren();
    }
  }
}

/** Credentials stay in the page: whether they are there is all that an explanation needs. */
function withoutSecrets({ method, target, headers, body }, names) {
  const [path, ...rest] = target.split("?");
  const query = rest
    .join("?")
    .split("&")
    .map(pair => {
      const [name] = pair.split("=", 1);
      return names.has(decoded(name).toLowerCase()) ? `${name}=hidden` : pair;
    })
    .join("&");
  return {
    method,
    target: rest.length === 0 ? path : `${path}?${query}`,
    headers: headers.map(([name, value]) => [name, names.has(name) ? hidden(name, value) : value]),
    body,
  };
}

/** The scheme, and the names of cookies, stay. */
function hidden(name, value) {
  if (name === "cookie")
    return value
      .split(";")
      .map(pair => `${pair.split("=", 1)[0].trim()}=hidden`)
      .join("; ");
  return /^[A-Za-z]+ /.test(value) ? `${value.split(" ", 1)[0]} hidden` : "hidden";
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const outcomes = {
  none: "No route matches: 404.",
  malformed: "The path is malformed.",
};

function explanationView(answer, catalog) {
  const { route, refused, allow, values = [], conditions = [], others = [] } = answer;
  return [
    el(
      "section",
      { class: "card" },
      el("h2", {}, "Outcome"),
      outcomeOf(answer),
      refused &&
        el(
          "p",
          { class: "problem" },
          el("strong", {}, `${refused.status} ${refused.reason}`),
          ` ${refused.field === "" ? "" : `${refused.field}: `}${refused.message}`,
        ),
      allow && el("p", {}, `The path has the methods ${allow.join(", ")}.`),
      route !== undefined && routeFacts(answer, catalog),
    ),
    values.length > 0 &&
      tableCard(
        "Fields of the values",
        ["From", "Name", "Value", "Field"],
        values.map(({ from, name, value, to }) => [
          from,
          el("code", {}, name),
          el("code", {}, oneLine(value, 200)),
          to,
        ]),
      ),
    answer.request !== undefined &&
      el(
        "section",
        { class: "card" },
        el("h2", {}, "Request message"),
        answer.request_type && el("p", {}, el("code", {}, answer.request_type)),
        copyable(JSON.stringify(answer.request, null, 2), "the request message"),
        answer.note && el("p", { class: "quiet" }, answer.note),
      ),
    answer.request === undefined && answer.note && el("p", { class: "note" }, answer.note),
    answer.providers?.length > 0 &&
      tableCard(
        "Authentication",
        ["Provider", "Reads", "In this request"],
        answer.providers.map(({ name, reads, present }) => [
          name,
          reads.join(" or "),
          present ? "there is a credential" : "nothing",
        ]),
      ),
    answer.policies?.length > 0 &&
      tableCard(
        "Policies",
        ["Policy", "Demands"],
        answer.policies.map(({ name, demands }) => [name, demands.join(" and ")]),
      ),
    answer.limits?.length > 0 &&
      tableCard(
        "Limits",
        ["Limit", "Allows"],
        answer.limits.map(({ name, allows }) => [name, allows]),
      ),
    conditions.length > 0 &&
      tableCard(
        "Checks",
        ["Status", "Reason", "When"],
        conditions.map(({ status, reason, when }) => [String(status), el("code", {}, reason), when]),
      ),
    others.length > 0 &&
      tableCard(
        "Routes that were not chosen",
        ["Method", "Template", "Why"],
        others.map(({ method, template, reason }) => [badge(method), pathText(template), reason]),
      ),
  ].filter(Boolean);
}

function outcomeOf({ outcome, route, refused, method, path }) {
  const line = el("p", { class: "address" }, badge(method), " ", pathText(path));
  if (route === undefined)
    return [
      line,
      el(
        "p",
        {},
        outcomes[outcome] ??
          (outcome === "options"
            ? "The gateway answers with 204 and Allow."
            : "The path has other methods: 405."),
      ),
    ];
  return [
    line,
    el(
      "p",
      {},
      el(
        "span",
        { class: `state ${refused === undefined ? "good" : "bad"}` },
        refused === undefined ? "accepted" : "refused",
      ),
      " matched by ",
      badge(route.method),
      " ",
      pathText(route.template),
    ),
  ];
}

function routeFacts({ route, body, protocol }, catalog) {
  const operation = catalog.operations.find(
    ({ operation: each }) => each.method === route.method && each.template === route.template,
  )?.operation;
  const facts = [
    route.rpc !== "" && [
      "RPC",
      operation === undefined ? route.rpc : el("a", { href: operation.href }, route.rpc),
    ],
    ["Served by", route.upstream === "" ? "the gateway itself" : `upstream ${route.upstream}`],
    ["Bound by", clean(route.source)],
    protocol !== undefined && ["Spoken", protocol],
    ["Body goes to", clean(body ?? "")],
    route.response_body !== "" && ["Response body", route.response_body],
  ].filter(fact => fact && fact[1] !== "");
  return el(
    "dl",
    { class: "facts" },
    facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
  );
}

function tableCard(title, heads, rows) {
  return el(
    "section",
    { class: "card" },
    el("h2", {}, title),
    el(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": title },
      el(
        "table",
        {},
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            heads.map(head => el("th", { scope: "col" }, head)),
          ),
        ),
        el(
          "tbody",
          {},
          rows.map(cells =>
            el(
              "tr",
              {},
              cells.map(cell => el("td", {}, cell)),
            ),
          ),
        ),
      ),
    ),
  );
}
