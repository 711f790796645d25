import { announce, button, clean, el, field, prettyJson } from "./dom.js";

/** Frames that stay on the page, and characters of one that are shown. */
const mostFrames = 500;
const mostShown = 20_000;

/** A WebSocket and what goes over it. */
export class SocketConsole {
  /**
   * @param target path and query
   * @param bearer a token, which browsers can send in a subprotocol alone
   * @param first text of the first message
   * @param ends whether requests can be ended (`{"end":true}`), as on the routes of streaming methods
   * @param presets `[label, text]` each: messages to choose from
   */
  constructor({ target, bearer, first = "", ends = false, presets = [] }) {
    this.target = target;
    this.bearer = bearer;
    this.state = el("span", { class: "state", role: "status" }, "not connected");
    this.log = el("ol", { class: "frames", "aria-label": "Frames", tabindex: "0" });
    this.input = el("textarea", {
      rows: "3",
      class: "code",
      spellcheck: "false",
      value: first,
      onkeydown: event => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.send(this.input.value);
      },
    });
    this.connectButton = button("Connect", () => this.connect(), { class: "primary" });
    this.sendButton = button("Send message", () => this.send(this.input.value));
    this.endButton = ends && button("End requests", () => this.send('{"end":true}'));
    this.closeButton = button("Close", () => this.socket?.close(1000));
    this.element = el(
      "section",
      { class: "console", "aria-label": "WebSocket" },
      el("p", {}, el("code", {}, target), " ", this.state),
      presets.length > 0 &&
        el(
          "div",
          { class: "row presets", role: "group", "aria-label": "Example frames" },
          presets.map(([label, text]) =>
            button(
              label,
              () => {
                this.input.value = text;
                this.input.focus();
              },
              { class: "small" },
            ),
          ),
        ),
      field("Message", this.input, { hint: "Ctrl+Enter sends it." }),
      el("div", { class: "row" }, this.connectButton, this.sendButton, this.endButton, this.closeButton),
      this.log,
    );
    this.#enable(false);
  }

  connect() {
    this.close();
    const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${this.target}`;
    let socket;
    try {
      socket = this.bearer === undefined ? new WebSocket(url) : new WebSocket(url, ["bearer", this.bearer]);
    } catch (error) {
      this.#say("bad", error.message);
      return;
    }
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    this.#state("wait", "connecting");
    socket.onopen = () => {
      this.#state("good", "open");
      this.#enable(true);
    };
    socket.onmessage = ({ data }) =>
      this.#frame("in", typeof data === "string" ? prettyJson(data) : `${data.byteLength} bytes`);
    socket.onclose = ({ code, reason }) => {
      if (this.socket !== socket) return;
      this.socket = undefined;
      this.#enable(false);
      this.#state(
        code === 1000 ? "good" : "bad",
        `closed with ${code}${reason === "" ? "" : ` ${clean(reason)}`}`,
      );
      if (code === 1006)
        this.#say(
          "bad",
          "The connection was refused or lost. Browsers do not show the reason; an HTTP request to the same address may.",
        );
    };
  }

  /** Closes it without a word. */
  close() {
    const { socket } = this;
    this.socket = undefined;
    socket?.close(1000);
  }

  send(text) {
    if (this.socket?.readyState !== 1) return;
    this.socket.send(text);
    this.#frame("out", prettyJson(text));
  }

  #enable(open) {
    this.connectButton.disabled = open;
    this.sendButton.disabled = !open;
    if (this.endButton) this.endButton.disabled = !open;
    this.closeButton.disabled = !open;
  }

  #state(tone, text) {
    this.state.className = `state ${tone}`;
    this.state.textContent = text;
  }

  #frame(direction, text) {
    this.#say(direction, text.length > mostShown ? `${text.slice(0, mostShown)}… (cut)` : text);
    if (direction === "in") announce("Message received");
  }

  #say(kind, text) {
    const label = { in: "received", out: "sent", bad: "" }[kind];
    this.log.append(
      el(
        "li",
        { class: kind },
        label !== "" && el("span", { class: "type" }, `${label} ${new Date().toLocaleTimeString()}`),
        el("pre", {}, text),
      ),
    );
    if (this.log.childElementCount > mostFrames) this.log.firstElementChild.remove();
    this.log.scrollTop = this.log.scrollHeight;
  }
}
