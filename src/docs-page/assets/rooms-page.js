import { credentialsFor, onCredentials } from "./credentials.js";
import { button, el, prose } from "./dom.js";
import { SocketConsole } from "./socket-console.js";

/** Where the socket of rooms is tried. */
export class RoomsPage {
  constructor({ catalog }) {
    const { rooms, providers } = catalog;
    this.title = "Rooms";
    const presets = [
      ...(rooms.rooms
        ? [
            ["Join", { type: "join-room", room_id: "general", from: "Visitor", id: 1 }],
            ["Send", { type: "send-message", room_id: "general", message: "Hello", id: 2 }],
            ["List members", { type: "presence", room_id: "general", id: 3 }],
            ["Leave", { type: "leave-room", room_id: "general", id: 4 }],
          ]
        : []),
      ...rooms.calls.map((method, index) => [
        `Call ${method.split("/").at(-1)}`,
        { type: "call", id: 10 + index, method, body: {} },
      ]),
    ].map(([label, frame]) => [label, JSON.stringify(frame)]);
    const make = () =>
      new SocketConsole({
        target: rooms.path,
        bearer: credentialsFor(rooms.auth, providers).bearer,
        first: presets[0]?.[1] ?? "{}",
        presets,
      });
    this.console = make();
    const place = el("div", { class: "card" }, this.console.element);
    this.endWatch = onCredentials(() => {
      this.console.bearer = credentialsFor(rooms.auth, providers).bearer;
    });
    this.element = el(
      "article",
      { class: "narrow" },
      el("h1", { tabindex: "-1" }, "Rooms"),
      el(
        "div",
        { class: "prose lead" },
        prose(
          `Frames are JSON, each with its \`type\`, over one WebSocket on \`${rooms.path}\`. A frame with an \`id\` is answered by \`ack\` or \`error\` with the same id.`,
        ),
      ),
      rooms.auth !== undefined &&
        el(
          "p",
          {},
          `Sockets are opened with credentials of ${rooms.auth.join(" or ")}; a token goes in the subprotocol bearer. `,
          button("Credentials", () => document.getElementById("credentials").click(), { class: "small" }),
        ),
      place,
    );
  }

  close() {
    this.endWatch();
    this.console.close();
  }
}
