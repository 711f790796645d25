import { button, el, field, oneLine } from "./dom.js";

/** What somebody has entered, by provider and scheme. In memory alone: it is gone with the page. */
const entered = new Map();

/** Called when something is entered or forgotten. */
const watchers = new Set();

/** @returns what ends it */
export function onCredentials(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/**
 * What a request carries, of the first of the providers for which something was entered.
 * @param names of providers of which one must accept; undefined where everybody may call
 * @param providers of the catalog
 * @returns headers and query parameters, and the token where it is one for `Authorization: Bearer`
 */
export function credentialsFor(names, providers) {
  for (const name of names ?? []) {
    const schemes = providers.find(provider => provider.name === name)?.schemes ?? [];
    for (const [index, scheme] of schemes.entries()) {
      const value = entered.get(keyOf(name, index));
      if (value !== undefined && value !== "") return { provider: name, ...carried(scheme, value) };
    }
  }
  return { headers: [], query: [], provider: undefined, bearer: undefined };
}

function carried(scheme, value) {
  if (scheme.type === "http") {
    const bearer = scheme.scheme.toLowerCase() === "bearer" ? value : undefined;
    const text = scheme.scheme.toLowerCase() === "basic" ? base64(value) : value;
    return { headers: [["authorization", `${capital(scheme.scheme)} ${text}`]], query: [], bearer };
  }
  return scheme.in === "query"
    ? { headers: [], query: [[scheme.name, value]] }
    : { headers: [[scheme.name, value]], query: [] };
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

function capital(word) {
  return word[0].toUpperCase() + word.slice(1);
}

function keyOf(name, index) {
  return `${name} ${index}`;
}

/** Names of headers and query parameters that hold credentials, in lower case. */
export function secretNames(providers) {
  const names = new Set(["authorization", "proxy-authorization", "cookie"]);
  for (const { schemes } of providers)
    for (const { name } of schemes) if (name !== undefined) names.add(name.toLowerCase());
  return names;
}

/** Where credentials are entered. */
export function credentialsDialog(providers) {
  const dialog = el("dialog", { class: "credentials", "aria-labelledby": "credentials-title" });
  const form = el(
    "form",
    { method: "dialog", autocomplete: "off", class: "form" },
    el("h2", { id: "credentials-title" }, "Credentials"),
    el(
      "p",
      { class: "quiet" },
      "They are sent with requests that you try on this page. They stay in the memory of the page until it is closed or reloaded.",
    ),
    providers.length === 0 && el("p", {}, "No operation needs credentials."),
    providers.map(provider => providerFields(provider)),
    el(
      "div",
      { class: "row" },
      el("button", { type: "submit", class: "primary" }, "Done"),
      providers.length > 0 &&
        button("Forget all", () => {
          entered.clear();
          for (const input of form.querySelectorAll("input")) input.value = "";
          tell();
        }),
    ),
  );
  dialog.append(form);
  return dialog;
}

function providerFields({ name, type, schemes }) {
  const fields = schemes.map((scheme, index) => schemeField(name, index, scheme));
  return el("fieldset", {}, el("legend", {}, name, " ", el("span", { class: "type" }, type)), fields);
}

function schemeField(name, index, scheme) {
  if (scheme.type === "mutualTLS")
    return el("p", { class: "quiet" }, "The browser sends a client certificate by itself if it has one.");
  if (scheme.in === "cookie")
    return el(
      "p",
      { class: "quiet" },
      `The browser sends the cookie "${oneLine(scheme.name, 60)}" by itself if it has one.`,
    );
  const keep = value => {
    entered.set(keyOf(name, index), value);
    tell();
  };
  if (scheme.scheme?.toLowerCase() === "basic") {
    const user = secretInput("text");
    const password = secretInput("password");
    const both = () =>
      keep(user.value === "" && password.value === "" ? "" : `${user.value}:${password.value}`);
    user.addEventListener("input", both);
    password.addEventListener("input", both);
    return [field("User", user), field("Password", password)];
  }
  const input = secretInput("password");
  input.addEventListener("input", () => keep(input.value.trim().replace(/^bearer\s+/i, "")));
  const place =
    scheme.type === "http"
      ? `authorization: ${capital(scheme.scheme)} …`
      : `${scheme.in === "query" ? "query parameter" : "header"} ${scheme.name}`;
  return field(scheme.type === "http" ? "Token" : "Key or token", input, {
    hint: `${scheme.description ?? ""} Sent as \`${place}\`.`,
  });
}

function secretInput(type) {
  return el("input", { type, autocomplete: "off", spellcheck: "false" });
}

function tell() {
  for (const watcher of watchers)
    watcher(entered.size > 0 && [...entered.values()].some(value => value !== ""));
}
