import { credentialsFor, onCredentials } from "./credentials.js";
import { exampleOf, resolved } from "./documents.js";
import { announce, button, copyable, el, field, oneLine } from "./dom.js";
import { FormFields, formTypes } from "./form-fields.js";
import { curlOf, headersOf, pathOf, queryOf, targetOf, variablesOf } from "./request.js";
import { ResponseView } from "./response-view.js";
import { SocketConsole } from "./socket-console.js";

/** Optional query parameters that are shown at once; the others open. */
const fewParameters = 5;

const streamForms = [
  ["application/x-ndjson", "Lines (NDJSON)"],
  ["text/event-stream", "Server-sent events"],
  ["application/json", "JSON array"],
];

/**
 * Where an operation is tried.
 * @param described its Operation Object; undefined where the document has none
 */
export class TryPanel {
  constructor({ catalog, operation, document, described, explain }) {
    this.catalog = catalog;
    this.operation = operation;
    this.document = document;
    this.watches = [];
    this.variables = new Map();
    this.parameters = [];
    this.view = new ResponseView();
    this.curl = el("div", { class: "curl" });
    this.problem = el("p", { class: "problem", role: "alert" });
    this.element = el(
      "section",
      { class: "try card", "aria-labelledby": "try-title" },
      el("h2", { id: "try-title" }, "Try it"),
      this.#form(described, explain),
    );
    this.watches.push(onCredentials(() => this.#showCurl()));
    this.#showCurl();
  }

  /** Ends what is under way, when another page is shown. */
  close() {
    this.abort?.abort();
    this.console?.close();
    for (const end of this.watches) end();
  }

  #form(described, explain) {
    const { operation } = this;
    const takesBody =
      described === undefined
        ? !["GET", "HEAD", "DELETE"].includes(operation.method)
        : described.requestBody !== undefined;
    this.send = el("button", { type: "submit", class: "primary" }, "Send");
    this.stop = button("Stop", () => this.abort?.abort(), { disabled: true });
    const streams = operation.kind !== undefined;
    this.form = el(
      "form",
      {
        class: "form",
        onsubmit: event => {
          event.preventDefault();
          void this.#send();
        },
        oninput: () => this.#showCurl(),
        novalidate: true,
      },
      this.#pathFields(described),
      this.#queryFields(described),
      takesBody && this.#bodyField(described),
      operation.kind !== undefined && operation.kind !== "client" && this.#formField(),
      this.#headerField(described),
      this.#credentialsLine(),
      el(
        "div",
        { class: "row" },
        this.send,
        this.stop,
        streams && operation.rest && button("WebSocket", () => this.#openConsole()),
        button("Explain", () => this.#explain(explain)),
      ),
      this.problem,
    );
    this.consolePlace = el("div", {});
    return [this.form, el("h3", {}, "As a command"), this.curl, this.view.element, this.consolePlace];
  }

  #pathFields(described) {
    return variablesOf(this.operation.template).map(({ name, pattern }) => {
      const about = (described?.parameters ?? []).find(each => each.in === "path" && each.name === name);
      const example =
        about === undefined ? "" : textOf(about.example ?? exampleOf(this.document, about.schema));
      const input = el("input", {
        type: "text",
        autocomplete: "off",
        spellcheck: "false",
        value: pattern === "*" ? example : "",
        placeholder: pattern === "*" ? "" : pattern,
      });
      this.variables.set(name, input);
      return field(name, input, {
        required: true,
        hint: pattern === "*" ? oneLine(about?.description ?? "", 160) : `In the form \`${pattern}\`.`,
      });
    });
  }

  #queryFields(described) {
    const all = (described?.parameters ?? []).filter(each => each.in === "query");
    const secret = new Set(credentialNames(this.catalog));
    const make = parameter => {
      const several = resolved(this.document, parameter.schema).type === "array";
      const input = several
        ? el("textarea", { rows: "2", spellcheck: "false" })
        : el("input", { type: "text", autocomplete: "off", spellcheck: "false" });
      this.parameters.push({ name: parameter.name, input, several, deep: parameter.style === "deepObject" });
      const hint = [
        oneLine(parameter.description ?? "", 160),
        several && "One value per line.",
        parameter.style === "deepObject" && "As `key=value`.",
      ]
        .filter(Boolean)
        .join(" ");
      return field(parameter.name, input, { required: parameter.required, hint });
    };
    const shown = all.filter(each => !secret.has(each.name));
    const first = shown.filter((each, index) => each.required || index < fewParameters);
    const others = shown.filter(each => !first.includes(each));
    const more =
      others.length > 0 &&
      el("details", {}, el("summary", {}, `${others.length} more parameters`), others.map(make));
    this.free = el("input", {
      type: "text",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "name=value&other=value",
    });
    const free = described === undefined && field("Query", this.free);
    return [first.map(make), more, free];
  }

  #bodyField(described) {
    const content = resolved(this.document, described?.requestBody ?? {}).content ?? {};
    const [type = "application/json", media = {}] = Object.entries(content)[0] ?? [];
    this.contentType = type === "*/*" ? "application/octet-stream" : type;
    const raw = described !== undefined && type === "*/*";
    const several = this.operation.kind === "client" || this.operation.kind === "bidi";
    const { schema = {} } = media;
    const one = several
      ? (schema.contentSchema ?? (schema.type === "array" ? schema.items : schema))
      : schema;
    const given = media.example ?? Object.values(media.examples ?? {})[0]?.value;
    const whole = given === undefined ? (exampleOf(this.document, one) ?? {}) : given;
    const example = raw ? "" : several && Array.isArray(whole) ? whole[0] : whole;
    if (several) this.contentType = "application/x-ndjson";
    const text = raw ? "" : several ? JSON.stringify(example) : JSON.stringify(example, null, 2);
    this.body = el("textarea", {
      rows: String(Math.min(16, Math.max(4, text.split("\n").length))),
      spellcheck: "false",
      class: "code",
      value: text,
    });
    const textField = field("Body", this.body, {
      hint: several ? "One JSON message per line: the method takes a stream of messages." : "",
    });
    return this.#orForm(content, textField);
  }

  /** The field of the body; where forms are taken, a choice between it and the fields of a form. */
  #orForm(content, text) {
    const types = Object.keys(formTypes).filter(type => content[type] !== undefined);
    if (types.length === 0) return text;
    const place = el("div", {}, text);
    const choice = el(
      "select",
      {
        onchange: () => {
          const type = choice.value;
          this.fields = type === "" ? undefined : new FormFields(this.document, type, content[type]);
          place.replaceChildren(this.fields?.element ?? text);
          this.#showCurl();
        },
      },
      el("option", { value: "" }, "JSON"),
      types.map(type => el("option", { value: type }, formTypes[type])),
    );
    return [field("Send as", choice), place];
  }

  #formField() {
    this.streamForm = el(
      "select",
      {},
      streamForms.map(([value, label]) => el("option", { value }, label)),
    );
    return field("Stream as", this.streamForm);
  }

  #headerField(described) {
    const named = (described?.parameters ?? []).filter(each => each.in === "header");
    const text = named
      .filter(each => each.required)
      .map(each => `${each.name.toLowerCase()}: ${textOf(exampleOf(this.document, each.schema)) || "1"}`)
      .join("\n");
    this.headers = el("textarea", {
      rows: "2",
      spellcheck: "false",
      class: "code",
      placeholder: "name: value",
      value: text,
    });
    const inner = field("Headers, one per line", this.headers, {
      hint: named.map(each => `\`${each.name}\`: ${oneLine(each.description ?? "", 120)}`).join(" "),
    });
    return el("details", { open: text !== "" }, el("summary", {}, "Headers"), inner);
  }

  #credentialsLine() {
    if (this.operation.auth === undefined) return undefined;
    const line = el("p", { class: "quiet" });
    const show = () => {
      const { provider } = credentialsFor(this.operation.auth, this.catalog.providers);
      line.replaceChildren(
        provider === undefined
          ? `Needs credentials of ${this.operation.auth.join(" or ")}. `
          : `Sent with the credentials of ${provider}. `,
        button("Credentials", () => document.getElementById("credentials").click(), { class: "small" }),
      );
    };
    this.watches.push(onCredentials(show));
    show();
    return line;
  }

  /** @throws Error for a header that is none */
  request() {
    const { operation } = this;
    const values = Object.fromEntries([...this.variables].map(([name, input]) => [name, input.value]));
    const { headers, query, bearer } = credentialsFor(operation.auth, this.catalog.providers);
    const pairs = this.parameters.flatMap(pairsOf);
    const text = [queryOf([...pairs, ...query]), this.free?.value ?? ""]
      .filter(part => part !== "")
      .join("&");
    const own = headersOf(this.headers.value);
    const form = this.fields;
    const body = form === undefined ? (this.body?.value ?? "") : "";
    const has = name => own.some(([other]) => other === name);
    const all = [
      ...(body !== "" && !has("content-type") ? [["content-type", this.contentType]] : []),
      ...(this.streamForm !== undefined && !has("accept") ? [["accept", this.streamForm.value]] : []),
      ...headers.filter(([name]) => !has(name)),
      ...own,
    ];
    const method = operation.method === "*" ? "GET" : operation.method;
    const target = targetOf(pathOf(operation.template, values), text);
    return { method, target, headers: all, body, bearer, form };
  }

  /** The request, or undefined and an error that is shown. */
  #checked() {
    this.problem.textContent = "";
    const empty = [...this.variables].find(([, input]) => input.value === "");
    if (empty !== undefined) {
      this.problem.textContent = `The path needs ${empty[0]}.`;
      empty[1].focus();
      return undefined;
    }
    try {
      return this.request();
    } catch (error) {
      this.problem.textContent = error.message;
      return undefined;
    }
  }

  #showCurl() {
    let text;
    try {
      text = curlOf(this.request(), location.origin);
    } catch (error) {
      text = `# ${error.message}`;
    }
    this.curl.replaceChildren(copyable(text, "the curl command"));
  }

  async #send() {
    const request = this.#checked();
    if (request === undefined) return;
    this.abort?.abort();
    const abort = new AbortController();
    this.abort = abort;
    this.send.disabled = true;
    this.stop.disabled = false;
    announce("Sending");
    const { method, target, headers, form } = request;
    const body = form === undefined ? request.body : form.body();
    const bodyless = method === "GET" || method === "HEAD" || body === "";
    try {
      await this.view.show(
        () => fetch(target, { method, headers, ...(bodyless ? {} : { body }), signal: abort.signal }),
        abort.signal,
        this.streamForm !== undefined,
      );
    } finally {
      this.send.disabled = false;
      this.stop.disabled = true;
    }
  }

  #openConsole() {
    const request = this.#checked();
    if (request === undefined) return;
    this.console?.close();
    const first = this.body === undefined ? "{}" : compact(this.body.value);
    const takes = this.operation.kind !== "server" || this.body !== undefined;
    this.console = new SocketConsole({
      target: request.target,
      bearer: request.bearer,
      first,
      ends: takes,
      receives: this.operation.kind !== "client",
    });
    this.consolePlace.replaceChildren(this.console.element);
    this.console.connect();
  }

  #explain(explain) {
    const request = this.#checked();
    if (request?.form !== undefined) this.problem.textContent = "Only JSON bodies can be explained.";
    else if (request !== undefined) explain(request);
  }
}

function credentialNames({ providers }) {
  return providers.flatMap(({ schemes }) =>
    schemes.flatMap(scheme => (scheme.in === "query" ? [scheme.name] : [])),
  );
}

function pairsOf({ name, input, several, deep }) {
  const { value } = input;
  if (value === "") return [];
  if (deep) {
    return value
      .split(/[\n&]/)
      .filter(each => each !== "")
      .map(each => {
        const at = each.indexOf("=");
        return at < 0 ? [`${name}[${each}]`, ""] : [`${name}[${each.slice(0, at)}]`, each.slice(at + 1)];
      });
  }
  return (several ? value.split("\n").filter(each => each !== "") : [value]).map(each => [name, each]);
}

function textOf(value) {
  return value === undefined || value === null || typeof value === "object" ? "" : String(value);
}

function compact(text) {
  try {
    JSON.parse(text);
    return text.replace(/\n\s*/g, "");
  } catch {
    return text;
  }
}
