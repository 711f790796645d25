import { byId, clean, make, setClass, setText, sparkline, sync, table } from "./dom.js";
import { bytesText, quantile, rateText, secondsText, shareText, spanText } from "./rates.js";

/** Values that a small line shows: those of a minute. */
const points = 30;
const maxRoutesShown = 50;
const methods = new Set(["GET", "POST", "PUT", "PATCH", "DELETE"]);
const stateOf = { ready: "good", idle: "quiet", connecting: "wait" };

export function createView() {
  const tiles = createTiles();
  const routes = table(
    byId("routes"),
    [
      { title: "Route", name: "route", cell: routeCell },
      { title: "per s", number: true, cell: (cell, route) => setText(cell, rateText(route.rate)) },
      {
        title: "4xx",
        number: true,
        cell: (cell, { grown }) => share(cell, grown.clientErrors, grown.count, false),
      },
      { title: "5xx", number: true, cell: (cell, { grown }) => share(cell, grown.errors, grown.count, true) },
      { title: "p50", number: true, cell: (cell, route) => latency(cell, route, 0.5) },
      { title: "p90", number: true, cell: (cell, route) => latency(cell, route, 0.9) },
      { title: "p99", number: true, cell: (cell, route) => latency(cell, route, 0.99) },
      {
        title: "Total",
        number: true,
        cell: (cell, route) => setText(cell, route.requests.toLocaleString("en")),
      },
    ],
    "No requests yet.",
  );
  const failures = table(
    byId("failures"),
    [
      { title: "When", name: "when", cell: (cell, { at }) => moment(cell, at) },
      { title: "What", name: "what", cell: failureCell },
    ],
    "No failures.",
  );
  const rooms = table(
    byId("rooms"),
    [
      { title: "Room", name: "name", cell: (cell, { room }) => setText(cell, room) },
      {
        title: "Members",
        number: true,
        cell: (cell, { members }) => setText(cell, members.toLocaleString("en")),
      },
      { title: "Messages per s", number: true, cell: (cell, { rate }) => setText(cell, rateText(rate)) },
      { title: "Last seq", number: true, cell: (cell, { seq }) => setText(cell, seq.toLocaleString("en")) },
    ],
    "No room has members.",
  );
  const workers = table(
    byId("workers"),
    [
      { title: "Worker", cell: (cell, { worker }) => setText(cell, worker) },
      { title: "PID", number: true, cell: (cell, { pid }) => setText(cell, pid) },
      {
        title: "CPU",
        number: true,
        cell: (cell, { cpu }) => setText(cell, cpu === undefined ? "–" : shareText(cpu)),
      },
      { title: "Event loop busy", number: true, cell: (cell, { busy }) => busyCell(cell, busy) },
      {
        title: "Memory",
        number: true,
        cell: (cell, worker) => setText(cell, bytesText(worker.memory_bytes)),
      },
    ],
    "No process is serving.",
  );
  let last;

  function show(status, rates, latest) {
    last = { status, rates };
    showHead(status);
    tiles(status, rates, latest);
    showRoutes();
    showUpstreams(rates.upstreams);
    showFailures();
    byId("rooms-card").hidden = status.realtime === null;
    if (status.realtime !== null) {
      const { rooms: count, members, lagging } = status.realtime;
      const behind = lagging === 0 ? "" : `, ${lagging} behind`;
      setText(byId("rooms-facts"), `${number(count)} rooms, ${number(members)} members${behind}`);
      rooms(rates.rooms, ({ room }) => room);
    }
    showConfiguration(status);
    showCertificates(status.certificates);
    const { worker_restarts: restarts } = status;
    setText(byId("workers-facts"), restarts === 0 ? "" : `${number(restarts)} restarted`);
    workers(rates.workers, ({ pid }) => pid);
  }

  function showRoutes() {
    const wanted = byId("filter").value.trim().toLowerCase();
    // The many files of the documents page are shown to those who look for them.
    const found = last.rates.routes.filter(route =>
      wanted === ""
        ? route.service !== "docs"
        : `${route.method} ${route.route} ${route.service}`.toLowerCase().includes(wanted),
    );
    found.sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0) || b.requests - a.requests);
    routes(found.slice(0, maxRoutesShown), ({ method, route }) => `${method} ${route}`);
  }

  function showFailures() {
    const all = byId("callers").checked;
    const shown = last.status.failures.filter(({ status }) => all || status >= 500);
    failures(shown.slice(0, 100), ({ at, request_id: id }) => `${at} ${id}`);
  }

  byId("filter").addEventListener("input", showRoutes);
  byId("callers").addEventListener("change", showFailures);
  return { show };
}

function number(value) {
  return value.toLocaleString("en");
}

function showHead({ readiness, version, uptime_seconds: uptime, config, node }) {
  const wrong = Object.entries(readiness.checks).filter(([, { ok }]) => !ok);
  setText(byId("ready"), readiness.ready ? "Ready" : "Not ready");
  setClass(byId("ready"), `pill ${readiness.ready ? "good" : "bad"}`);
  setText(
    byId("facts"),
    `${version} · up ${spanText(uptime)} · configuration ${config.hash.slice(0, 8)} · Node ${node.replace("v", "")}`,
  );
  const notice = byId("notice");
  notice.hidden = wrong.length === 0;
  setText(notice, wrong.map(([name, { message }]) => `${name}: ${message}`).join(" · "));
}

function createTiles() {
  const parts = [
    "Requests per s",
    "Server errors",
    "Latency p50",
    "Latency p99",
    "In flight",
    "WebSockets",
  ].map(title => {
    const value = make("p", "value", "–");
    const note = make("p", "note");
    const line = sparkline(points);
    const element = make("div", "tile", make("h2", "", title), value, note, line.element);
    byId("tiles").append(element);
    return { element, value, note, line, values: [] };
  });
  const set = (index, text, note, point) => {
    const { value, note: notes, line, values } = parts[index];
    setText(value, text);
    setText(notes, note);
    if (point === undefined) return;
    values.push(point);
    if (values.length > points) values.shift();
    line.show(values);
  };
  return (status, rates, latest) => {
    const { duration_buckets: bounds, realtime } = status;
    const total = status.routes.reduce((sum, { requests }) => sum + requests, 0);
    set(0, rateText(rates.requests), `${number(total)} since the start`, latest?.requests);
    set(1, rates.known ? shareText(rates.errors) : "–", "of the requests", latest?.errors);
    parts[1].element.classList.toggle("alarm", rates.known && rates.errors > 0.01);
    for (const [index, part] of [
      [2, 0.5],
      [3, 0.99],
    ]) {
      const text = rates.known ? secondsText(quantile(part, rates.duration, bounds), bounds) : "–";
      const point =
        latest === undefined
          ? undefined
          : Math.min(quantile(part, latest.duration, bounds) ?? 0, bounds.at(-1) ?? 0);
      set(index, text, "of all routes", point);
    }
    set(4, number(status.requests_in_flight), "requests", status.requests_in_flight);
    parts[5].element.hidden = realtime === null;
    if (realtime === null) return;
    const traffic = `${rateText(rates.framesIn)} in, ${rateText(rates.framesOut)} out per s`;
    set(5, number(realtime.connections), traffic, realtime.connections);
  };
}

function badge(method) {
  return make("span", `badge ${methods.has(method) ? method.toLowerCase() : "other"}`, clean(method));
}

function routeCell(cell, { method, route, service, streams_open: open }) {
  if (cell.firstChild === null) {
    const path = make("span", "path", route === "<none>" ? "no route" : clean(route));
    path.title = clean(service === "<none>" ? "" : service);
    cell.append(badge(method), path, make("span", "soft open"));
  }
  setText(cell.lastChild, open === 0 ? "" : `${number(open)} open`);
}

function share(cell, part, whole, alarm) {
  setText(cell, part === 0 || whole === 0 ? "–" : shareText(part / whole));
  setClass(cell, `number${alarm && part > 0 ? " bad-text" : ""}`);
}

function latency(cell, { grown, bounds }, part) {
  setText(cell, secondsText(quantile(part, grown.duration, bounds), bounds));
}

function busyCell(cell, busy) {
  setText(cell, busy === undefined ? "–" : shareText(busy));
  setClass(cell, `number${busy > 0.9 ? " bad-text" : ""}`);
}

function failureCell(cell, failure) {
  if (cell.firstChild !== null) return;
  const { status, reason, grpc_code: code, method, route, upstream } = failure;
  const pill = make("span", `pill ${status >= 500 ? "bad" : "wait"}`, String(status));
  const path = make("span", "path", route === null ? "no route" : clean(route));
  cell.append(
    make(
      "div",
      "",
      pill,
      make("span", "reason", clean(reason ?? code)),
      upstream === null ? "" : make("span", "soft", clean(upstream)),
    ),
    make("div", "", badge(method), path),
    make("div", "soft ids", ...idsOf(failure)),
  );
}

/** By which the log and the traces have it. */
function idsOf({ request_id: request, trace_id: trace }) {
  const ids = [
    ["request", request],
    ["trace", trace],
  ];
  return ids.flatMap(([name, id]) =>
    id === null ? [] : [make("span", "", `${name} `, make("code", "", clean(id)))],
  );
}

function moment(cell, at) {
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  setText(
    cell,
    today
      ? date.toLocaleTimeString("en-GB")
      : `${date.toISOString().slice(0, 10)} ${date.toLocaleTimeString("en-GB")}`,
  );
  cell.title = at;
}

function showUpstreams(upstreams) {
  const parent = byId("upstreams");
  const create = ({ upstream, protocol }) =>
    make(
      "div",
      "upstream",
      make(
        "div",
        "title",
        make("h3", "", clean(upstream)),
        make("span", "tag", clean(protocol)),
        make("span", "state"),
      ),
      make("p", "soft"),
      make("ul", "endpoints"),
    );
  sync(
    parent,
    upstreams,
    ({ upstream }) => upstream,
    create,
    (element, upstream) => {
      const [title, facts, list] = element.children;
      const { endpoints, grown, bounds, protocol } = upstream;
      const usable = endpoints.filter(({ states }) => !broken(states)).length;
      const state = title.lastChild;
      const isForwarded = protocol === "http";
      setText(state, isForwarded ? "" : `${usable} of ${endpoints.length} usable`);
      setClass(
        state,
        `pill ${isForwarded ? "hidden" : usable === endpoints.length && usable > 0 ? "good" : usable === 0 ? "bad" : "wait"}`,
      );
      const slow = secondsText(quantile(0.99, grown.duration, bounds), bounds);
      const failed = grown.count === 0 ? "no" : shareText(grown.errors / grown.count);
      const retries = upstream.retryRate > 0 ? ` · ${rateText(upstream.retryRate)} retries per s` : "";
      setText(
        facts,
        isForwarded
          ? "Requests are forwarded; see its routes."
          : `${rateText(upstream.rate)} calls per s · ${failed} errors · p99 ${slow}${retries}`,
      );
      const createEndpoint = ({ address }) =>
        make("li", "", make("span", "dot"), make("code", "", clean(address)), make("span", "soft"));
      sync(
        list,
        endpoints,
        ({ address }) => address,
        createEndpoint,
        (item, { states, in_flight: calls }) => {
          const [worst] = Object.keys(states).sort((a, b) => rank(b) - rank(a));
          const several = Object.keys(states).length > 1;
          const words = several
            ? Object.entries(states)
                .map(([name, count]) => `${name} in ${count}`)
                .join(", ")
            : worst;
          setClass(item.firstChild, `dot ${stateOf[worst] ?? "bad"}`);
          setText(item.lastChild, `${words} · ${number(calls)} in flight`);
        },
      );
    },
  );
}

function broken(states) {
  return Object.keys(states).some(state => stateOf[state] === undefined);
}

/** How bad a state is. */
function rank(state) {
  return ["good", "quiet", "wait", "bad"].indexOf(stateOf[state] ?? "bad");
}

function showConfiguration({ config, reloads }) {
  const restart =
    config.needs_restart.length === 0 ? "" : ` After a restart: ${config.needs_restart.join(", ")}.`;
  setText(
    byId("config"),
    `Loaded ${new Date(config.loaded_at).toLocaleString("en-GB")}.${restart}${reloads.length === 0 ? " No reload since the start." : ""}`,
  );
  const create = report => {
    const success = report.result === "success";
    const lines = [
      ...report.changed.map(path => ["changed", path]),
      ...report.routes_added.map(route => ["added", route]),
      ...report.routes_removed.map(route => ["removed", route]),
    ];
    const marks = { changed: "~", added: "+", removed: "−" };
    const list = make(
      "ul",
      "diff",
      ...lines.map(([kind, text]) =>
        make("li", kind, make("span", "mark", marks[kind]), make("code", "", clean(text))),
      ),
    );
    const head = make(
      "p",
      "",
      make("span", `pill ${success ? "good" : "bad"}`, success ? "Reloaded" : "Refused"),
    );
    const when = make("span", "soft");
    when.title = report.at;
    when.textContent = ` ${new Date(report.at).toLocaleString("en-GB")} by ${clean(report.trigger)}`;
    head.append(when);
    const item = make("li", "reload", head);
    if (report.error !== undefined) {
      const error = make("pre", "");
      error.textContent = String(report.error).split("\n").map(clean).join("\n");
      item.append(error);
    }
    if (success && lines.length === 0) item.append(make("p", "soft", "No changes."));
    if (lines.length > 0) item.append(list);
    return item;
  };
  sync(
    byId("reloads"),
    reloads.slice(0, 10),
    ({ at }) => at,
    create,
    () => undefined,
  );
}

function showCertificates(certificates) {
  byId("certificates-card").hidden = certificates.length === 0;
  const create = () =>
    make("li", "certificate", make("span", "pill"), make("strong", ""), make("code", "soft"));
  const sorted = [...certificates].sort((a, b) => Date.parse(a.expires_at) - Date.parse(b.expires_at));
  sync(
    byId("certificates"),
    sorted,
    ({ listener, file }) => `${listener} ${file}`,
    create,
    (item, certificate) => {
      const left = (Date.parse(certificate.expires_at) - Date.now()) / 1000;
      const days = Math.floor(left / 86_400);
      const [pill, listener, file] = item.children;
      setText(
        pill,
        left < 0
          ? `Expired ${certificate.expires_at.slice(0, 10)}`
          : days < 1
            ? spanText(left)
            : `${days} ${days === 1 ? "day" : "days"}`,
      );
      setClass(pill, `pill ${left < 0 || days < 7 ? "bad" : days < 21 ? "wait" : "good"}`);
      setText(listener, certificate.listener);
      setText(file, certificate.file);
      item.title = certificate.expires_at;
    },
  );
}
