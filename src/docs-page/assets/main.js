import { credentialsDialog, onCredentials } from "./credentials.js";
import { readJson } from "./documents.js";
import { announce, badge, breakable, clean, el, oneLine, pathText, prose, spans } from "./dom.js";
import { ExplainPage } from "./explain-page.js";
import { OperationPage } from "./operation-page.js";
import { RoomsPage } from "./rooms-page.js";
import { indexOf, search } from "./search.js";
import { Tree } from "./tree.js";

/** With no more operations than that, all services are open. */
const fewOperations = 60;
/** Services that the first page lists. */
const mostServices = 200;

const element = id => document.getElementById(id);
const main = element("main");

let catalog;
let page;
let tree;
/** A request on its way to the page that explains it. */
let handedOver;

try {
  catalog = await readJson(new URL("catalog.json", import.meta.url));
  start();
} catch (error) {
  main.replaceChildren(
    el(
      "p",
      { class: "problem", role: "alert" },
      `The list of operations could not be read. ${error.message}`,
    ),
  );
}

function start() {
  catalog.operations = indexOf(catalog.services);
  for (const { operation } of catalog.operations)
    operation.href = `#/operation/${encodeURIComponent(operation.service.name)}/${encodeURIComponent(operation.key)}`;
  tree = new Tree({
    open: operation => {
      location.hash = operation.href;
    },
  });
  element("tree").replaceWith(tree.element);
  startSearch();
  startCredentials();
  document.querySelector(".skip").addEventListener("click", event => {
    event.preventDefault();
    main.focus();
  });
  element("rooms-link").hidden = catalog.rooms === undefined;
  window.addEventListener("hashchange", () => show());
  document.addEventListener("keydown", event => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      element("search").focus();
    }
  });
  show(true);
}

function startSearch() {
  const input = element("search");
  tree.ownedBy(input);
  const find = () => {
    const text = input.value.trim();
    const found = text === "" ? undefined : search(catalog.operations, text);
    tree.show(groupsOf(found), {
      allOpen: found !== undefined || catalog.operations.length <= fewOperations,
    });
    const count = found?.length ?? catalog.operations.length;
    element("found").textContent =
      found === undefined
        ? `${plural(count, "operation")} in ${plural(catalog.services.length, "service")}`
        : plural(count, "operation");
    if (found === undefined) tree.mark(page?.operation);
  };
  input.addEventListener("input", find);
  input.addEventListener("keydown", event => {
    if (event.key === "Escape" && input.value !== "") {
      input.value = "";
      find();
      event.preventDefault();
    } else tree.key(event, false);
  });
  find();
}

function plural(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

/** Operations by service, in the order of the first of each. */
function groupsOf(found) {
  if (found === undefined)
    return catalog.services.map(service => ({ service, operations: service.operations }));
  const groups = new Map();
  for (const operation of found) {
    const group = groups.get(operation.service);
    if (group === undefined) groups.set(operation.service, [operation]);
    else group.push(operation);
  }
  return [...groups].map(([service, operations]) => ({ service, operations }));
}

function startCredentials() {
  const dialog = credentialsDialog(catalog.providers);
  document.body.append(dialog);
  const open = element("credentials");
  open.hidden = catalog.providers.length === 0;
  open.addEventListener("click", () => dialog.showModal());
  onCredentials(some => open.classList.toggle("set", some));
}

/** Shows what the address names. @param first whether the page was just opened: the focus stays where it is */
function show(first = false) {
  const [, kind = "", ...names] = location.hash.split("/").map(decoded);
  page?.close();
  const request = handedOver;
  handedOver = undefined;
  page = pageOf(kind, names, request);
  main.replaceChildren(page.element);
  document.body.dataset.page = kind === "" ? "home" : kind;
  document.title =
    page.title === undefined ? catalog.title : `${clean(page.title)} · ${clean(catalog.title)}`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${kind}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  tree.mark(page.operation);
  main.scrollTop = 0;
  scrollTo(0, 0);
  if (first) return;
  main.querySelector("h1")?.focus({ preventScroll: true });
  announce(document.title);
}

function pageOf(kind, [name, key], request) {
  const service = catalog.services.find(each => each.name === name);
  if (kind === "operation") {
    const operation = service?.operations.find(each => each.key === key);
    if (operation !== undefined) return new OperationPage({ catalog, operation, explain });
    return textPage(
      "Not found",
      `There is no operation ${oneLine(key ?? "", 200)} of ${oneLine(name ?? "", 200)}.`,
    );
  }
  if (kind === "service")
    return service === undefined
      ? textPage("Not found", `There is no service ${oneLine(name ?? "", 200)}.`)
      : servicePage(service);
  if (kind === "explain") return new ExplainPage({ catalog, request });
  if (kind === "rooms" && catalog.rooms !== undefined) return new RoomsPage({ catalog });
  return kind === "" ? homePage() : textPage("Not found", "There is no such page.");
}

function explain(request) {
  handedOver = request;
  location.hash = "#/explain";
}

function textPage(title, text) {
  return {
    title,
    close() {},
    element: el("article", { class: "narrow" }, el("h1", { tabindex: "-1" }, title), el("p", {}, text)),
  };
}

function homePage() {
  const services = catalog.services.slice(0, mostServices);
  const rest = catalog.services.length - services.length;
  return {
    title: undefined,
    close() {},
    element: el(
      "article",
      { class: "home" },
      el("h1", { tabindex: "-1" }, catalog.title),
      el(
        "p",
        { class: "lead" },
        `${plural(catalog.operations.length, "operation")} in ${plural(catalog.services.length, "service")}.`,
      ),
      el(
        "ul",
        { class: "ways" },
        el("li", {}, el("kbd", {}, "/"), " to search names, paths and comments."),
        el("li", {}, el("a", { href: catalog.openapi }, "OpenAPI document"), " for tools."),
        el(
          "li",
          {},
          el("a", { href: "#/explain" }, "Explain a request"),
          ": its route, the fields of its values, and the checks it must pass.",
        ),
        catalog.rooms && el("li", {}, el("a", { href: "#/rooms" }, "Rooms"), " over a WebSocket."),
      ),
      el("h2", {}, "Services"),
      el(
        "ul",
        { class: "services" },
        services.map(service =>
          el(
            "li",
            {},
            el(
              "a",
              { class: "service-link", href: `#/service/${encodeURIComponent(service.name)}` },
              breakable(service.name),
            ),
            el("span", { class: "count" }, String(service.operations.length)),
            el("p", { class: "quiet" }, spans(oneLine(service.comment, 140))),
          ),
        ),
      ),
      rest > 0 && el("p", { class: "quiet" }, `and ${plural(rest, "more service")}: search for them.`),
    ),
  };
}

function servicePage(service) {
  return {
    title: service.name,
    close() {},
    element: el(
      "article",
      { class: "narrow" },
      el("h1", { tabindex: "-1" }, service.name),
      el("div", { class: "prose lead" }, prose(service.comment)),
      service.document &&
        el("p", {}, el("a", { href: service.document }, "OpenAPI document of this service")),
      el(
        "ul",
        { class: "operations" },
        service.operations.map(operation =>
          el(
            "li",
            {},
            el(
              "a",
              { class: "operation-link", href: operation.href },
              el(
                "span",
                { class: "operation-name" },
                badge(operation.method),
                el("span", { class: "name" }, oneLine(operation.name, 120)),
              ),
              el("span", { class: "operation-path" }, pathText(operation.template)),
            ),
            el("p", { class: "quiet" }, spans(oneLine(operation.summary, 200))),
          ),
        ),
      ),
    ),
  };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
