import { announce, bytesText, clean, copyable, el, prettyJson } from "./dom.js";
import { splitterOf } from "./streams.js";

/** Characters of a body that are shown, and bytes that are read of one. */
const mostShown = 200_000;
const mostRead = 8 * 1024 * 1024;
/** Messages of a stream that stay on the page. */
const mostMessages = 500;

/** A response as it comes. */
export class ResponseView {
  constructor() {
    this.element = el("section", { class: "response", "aria-label": "Response", hidden: true });
  }

  /**
   * @param send returns the promise of a response
   * @param streams whether it is shown message by message, where it is a stream
   */
  async show(send, signal, streams) {
    const head = el("p", { class: "outcome" }, "Waiting for the response…");
    const body = el("div", {});
    this.element.hidden = false;
    this.element.replaceChildren(el("h3", {}, "Response"), head, body);
    const start = performance.now();
    try {
      const response = await send();
      const took = Math.round(performance.now() - start);
      head.replaceChildren(statusText(response), ` ${took} ms`);
      announce(`Response ${response.status}`);
      body.append(headersView(response.headers));
      await this.#body(response, body, head, signal, streams);
    } catch (error) {
      if (signal.aborted) head.append(head.textContent.startsWith("Waiting") ? " stopped" : " · stopped");
      else {
        head.replaceChildren(el("span", { class: "state bad" }, "No response"), ` ${error.message}`);
        announce("There is no response");
      }
    }
  }

  async #body(response, place, head, signal, streams) {
    const type = response.headers.get("content-type") ?? "";
    if (response.body === null) return;
    if (streams && response.ok && /^(text\/event-stream|application\/(x-ndjson|jsonl|json))/i.test(type)) {
      await readStream(response, type, place, head);
      return;
    }
    const { text, bytes, cut } = await readAll(response, type);
    head.append(` · ${bytesText(bytes)}`);
    if (text === undefined)
      place.append(
        el("p", { class: "quiet" }, `${bytesText(bytes)} of ${clean(type) || "no stated type"}, not shown.`),
      );
    else if (text !== "")
      place.append(copyable(shown(/json/i.test(type) ? prettyJson(text) : text, cut), "the response"));
    if (signal.aborted) head.append(" · stopped");
  }
}

function shown(text, cut) {
  if (text.length <= mostShown && !cut) return text;
  return `${text.slice(0, mostShown)}\n… (cut)`;
}

/** @returns the text, undefined where it is none */
async function readAll(response, type) {
  const reader = response.body.getReader();
  const isText = /json|text|xml|javascript|urlencoded|^$/i.test(type);
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { text: isText ? text + decoder.decode() : undefined, bytes, cut: false };
    bytes += value.length;
    if (isText) text += decoder.decode(value, { stream: true });
    if (bytes > mostRead) {
      await reader.cancel();
      return { text: isText ? text : undefined, bytes, cut: true };
    }
  }
}

/** One row a message, as they come. JSON that turns out to be no array is one message. */
async function readStream(response, type, place, head) {
  const splitter = splitterOf(type);
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  const list = el("ol", { class: "messages", "aria-label": "Messages" });
  const count = el("span", { class: "stream-count" });
  let messages = 0;
  place.append(list);
  head.append(" · ", count);
  const add = found => {
    for (const { event, id, data } of found) {
      messages += 1;
      const label = [id !== undefined && `id ${id}`, event !== undefined && event]
        .filter(Boolean)
        .join(" · ");
      list.append(
        el(
          "li",
          { class: event === "error" || /^\{"error":/.test(data) ? "bad" : "" },
          label !== "" && el("span", { class: "type" }, label),
          el("pre", {}, shown(prettyJson(data), false)),
        ),
      );
      if (list.childElementCount > mostMessages) list.firstElementChild.remove();
    }
    count.textContent = `${messages} ${messages === 1 ? "message" : "messages"}`;
  };
  add([]);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      add(splitter.push(decoder.decode(value, { stream: true })));
    }
    add(splitter.end());
    head.append(" · ended");
    announce(`The response has ended, ${count.textContent}`);
  } finally {
    reader.releaseLock();
  }
}

function statusText({ status, statusText: phrase }) {
  const tone = status < 300 ? "good" : status < 500 ? "wait" : "bad";
  return el("span", { class: `state ${tone}` }, `${status} ${phrase}`.trim());
}

function headersView(headers) {
  const rows = [...headers].map(([name, value]) =>
    el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value)),
  );
  return el(
    "details",
    {},
    el("summary", {}, `${rows.length} headers`),
    el(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Headers of the response" },
      el("table", {}, el("tbody", {}, rows)),
    ),
  );
}
