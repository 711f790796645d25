import { Client, pollTransport, sseTransport } from "./client.js";

/** Rows that are kept on the page. */
const mostRows = 500;
/** By the name that a connection has, in the order in which they are tried. */
const transports = new Map([
  ["websocket", { title: "WebSocket", transport: "websocket" }],
  ["sse", { title: "server-sent events", transport: sseTransport() }],
  ["poll", { title: "polling", transport: pollTransport() }],
]);
const names = [
  "Ada",
  "Alan",
  "Barbara",
  "Donald",
  "Edsger",
  "Frances",
  "Grace",
  "Katherine",
  "Ken",
  "Margaret",
];

const element = id => document.getElementById(id);
const form = element("enter");
const say = element("say");
const log = element("log");
const messages = element("messages");

/** Undefined outside a room. */
let client;
let room;
let own = "";

form.elements.name.value = names[Math.floor(Math.random() * names.length)];
form.elements.room.value = decodeURIComponent(location.hash.slice(1)) || "general";
form.elements.name.select();

form.addEventListener("submit", event => {
  event.preventDefault();
  enter(form.elements.name.value.trim(), form.elements.room.value.trim());
});
say.addEventListener("submit", event => {
  event.preventDefault();
  void sendText();
});
element("again").addEventListener("click", () => client?.connect());
element("leave").addEventListener("click", () => void leave());
element("backend").addEventListener("click", () => void showHistory());

function enter(name, place) {
  own = name;
  messages.replaceChildren();
  element("members").replaceChildren();
  element("refusal").textContent = "";
  element("place").textContent = `${name} in ${place}`;
  element("second").href = `/demo#${encodeURIComponent(place)}`;
  history.replaceState(null, "", `#${encodeURIComponent(place)}`);
  const chosen = transports.get(form.elements.transport.value);
  const tried = chosen === undefined ? [...transports.values()] : [chosen];
  client = new Client({ url: "/ws", transports: tried.map(({ transport }) => transport) });
  client.on("state", ({ state, retryIn, code }) => {
    // Connected is who is in the room.
    if (state === "waiting") showState("waiting", retryIn);
    else if (state === "closed") stopped(closings.get(code) ?? "The server has closed the connection.");
    else if (state !== "open") showState("connecting");
  });
  room = client.room(place, { from: name, last: mostRows });
  room.on("joined", ({ again, missed }) => {
    showState("online", client.state.transport);
    if (again) resumed(missed);
  });
  room.on("message", showMessage);
  room.on("lost", ({ from, to }) => lost(to - from + 1));
  room.on("enter", joined);
  room.on("leave", left);
  room.on("members", present => members(present.members, present.count));
  room.on("refused", ({ message }) => stopped(message));
  void room.join().catch(() => undefined);
}

async function leave() {
  await room?.leave();
  stopped("");
}

/** Close codes after which the client does not come back. */
const closings = new Map([
  [4400, "The server could not read what this page sent."],
  [4401, "The login has expired."],
]);

function stopped(why) {
  const over = client;
  client = room = undefined;
  if (over === undefined) return;
  over.close();
  showState("stopped", why);
}

const stateTexts = {
  connecting: () => "Connecting…",
  online: name => `Connected by ${transports.get(name).title}`,
  waiting: wait => `Connection lost, next try in ${Math.ceil(wait / 1000)} s`,
  stopped: () => "Not connected",
};

function showState(state, detail) {
  const shown = element("state");
  shown.textContent = stateTexts[state](detail);
  shown.dataset.state = state;
  element("again").hidden = state !== "waiting";
  element("send").disabled = state !== "online";
  element("backend").disabled = state !== "online";
  if (state === "online") show(true);
  else members([]);
  if (state === "stopped") {
    show(false);
    element("refusal").textContent = detail;
  }
}

function show(inRoom) {
  if (element("chat").hidden !== inRoom) return;
  element("entrance").hidden = inRoom;
  element("chat").hidden = !inRoom;
  if (inRoom) {
    say.elements.text.focus();
  } else {
    element("place").textContent = "";
    form.elements.name.focus();
  }
}

async function sendText() {
  const { text } = say.elements;
  const message = text.value;
  if (message.trim() === "" || room === undefined || element("send").disabled) return;
  text.value = "";
  element("problem").textContent = "";
  try {
    await room.send(message);
  } catch (error) {
    element("problem").textContent =
      `${error.uncertain ? "May not have been sent" : "Not sent"}: ${error.message}`;
    if (text.value === "") text.value = message;
  }
}

function showMessage({ from, message, sent_at: sentAt }) {
  const row = node("li", "message");
  row.dataset.from = from;
  row.classList.toggle("own", from === own);
  const before = messages.lastElementChild;
  row.classList.toggle("more", before?.dataset.from === from);
  const who = node("span", "who", from);
  who.append(clock(new Date(sentAt * 1000)));
  row.append(who, node("span", "text", message));
  append(row);
  // The log is turned round: this is its end.
  if (from === own) log.scrollTop = 0;
}

function joined(name) {
  note(`${name} has joined`);
}

function left(name) {
  note(`${name} has left`);
}

function resumed(count) {
  if (count === 0) note("Connected again; nothing was missed", "good");
  else note(`Connected again; ${plural(count)} missed meanwhile`, "good");
}

function lost(count) {
  if (count === Number.POSITIVE_INFINITY)
    note("The room has a new history; messages in between may be lost", "bad");
  else note(`${plural(count)} lost: the server does not have them any more`, "bad");
}

function plural(count) {
  return count === 1 ? "1 message was" : `${count} messages were`;
}

function members(present, count = "") {
  element("present").textContent = `In the room: ${count}`;
  element("members").replaceChildren(
    ...present.map(name => node("li", "member", name === own ? `${name} (you)` : name)),
  );
}

async function showHistory() {
  const entries = element("entries");
  entries.replaceChildren();
  element("history").showModal();
  try {
    for await (const entry of client.stream("chat.v1.Rooms/StreamHistory", { room_id: room.name })) {
      const row = node("li", "entry");
      row.append(clock(new Date(entry.time)), sentence(entry));
      entries.append(row);
    }
  } catch (error) {
    entries.append(node("li", "entry", error.message));
  }
}

function sentence({ kind, from, message }) {
  if (kind === "MESSAGE") return `${from}: ${message}`;
  return kind === "JOIN" ? `${from} has joined` : `${from} has left`;
}

function note(text, tone = "plain") {
  const row = node("li", `note ${tone}`, text);
  row.append(clock(new Date()));
  append(row);
}

function append(row) {
  messages.append(row);
  while (messages.childElementCount > mostRows) messages.firstElementChild.remove();
}

function clock(date) {
  const time = node(
    "time",
    "",
    date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" }),
  );
  time.dateTime = date.toISOString();
  return time;
}

/** Whatever people write is text, never HTML. */
function node(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
