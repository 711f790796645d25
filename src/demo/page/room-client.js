/** Milliseconds before the first try to connect again; each further one waits twice as long, up to the longest. */
const firstWait = 500;
const longestWait = 15_000;
/** A connection on which nothing is answered for so long is dead, whatever the browser believes. */
const patience = 10_000;
/** How often who is there is asked, at most and at least. */
const presenceInterval = 300;
const heartbeatInterval = 25_000;

/** Close codes after which coming back would not help. */
const finalCodes = new Map([
  [4400, "The server could not read what this page sent."],
  [4401, "The login has expired."],
  [4403, "The server has ended the connection."],
]);

/**
 * One member of one room (protocol `chat`). It comes back by itself when the connection is lost, is sent what it has
 * missed, and accounts for every message by its number: each is delivered once, in order, or reported as lost.
 *
 * `told` is called with what happens:
 * `state(state, detail)` with "connecting", "online", "waiting" (detail: milliseconds) or "stopped" (detail: why);
 * `message(frame)`; `joined(name)`; `left(name)`; `members(names, count)`;
 * `resumed(count)` once it is back, before the messages missed meanwhile, which are so many;
 * `lost(count)` where messages are gone; the room has begun anew, and nobody knows how many, if `count` is undefined.
 */
export class RoomClient {
  #url;
  #room;
  #name;
  #history;
  #told;
  /** @type {WebSocket | undefined} */
  #socket;
  /** The last message that was delivered, or that the room had when it was joined. */
  #position;
  /** Messages that wait for the history before them; undefined once it is there. */
  #held = [];
  #failures = 0;
  #retry;
  #heartbeat;
  /** What is to be answered, by id. */
  #asked = new Map();
  #lastId = 0;
  #presence = "known";

  /** @param history gives the room's messages of before, oldest first */
  constructor({ url, room, name, history, told }) {
    this.#url = url;
    this.#room = room;
    this.#name = name;
    this.#history = history;
    this.#told = told;
  }

  /** Connects, at once also where it waits to do so. */
  connect() {
    clearTimeout(this.#retry);
    if (this.#socket !== undefined) return;
    this.#told.state("connecting");
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    socket.onopen = () => this.#join();
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
  }

  /** Leaves for good. */
  stop(why = "") {
    clearTimeout(this.#retry);
    this.#abandon();
    this.#told.state("stopped", why);
  }

  /** Resolves when the message has been published. @throws Error where it was refused, or the connection was lost */
  say(message) {
    return this.#ask({ type: "send-message", room_id: this.#room, message });
  }

  /** Calls an RPC over the socket. Resolves when it is over. @param event gets the body of each message of the reply */
  call(method, body, event) {
    return this.#ask({ type: "call", method, body }, event);
  }

  #join() {
    const since = this.#position;
    const frame = { type: "join-room", room_id: this.#room, from: this.#name };
    this.#ask(since === undefined ? frame : { ...frame, since }, undefined, ack =>
      this.#enter(since, ack),
    ).catch(error => {
      if (error.refused) this.stop(error.message);
    });
  }

  /** Runs before what follows the answer is read. */
  #enter(since, { epoch, seq }) {
    this.#failures = 0;
    this.#told.state("online");
    if (since === undefined) {
      void this.#begin({ epoch, seq });
    } else if (since.epoch === epoch) {
      this.#told.resumed(seq - since.seq);
    } else {
      this.#told.lost(undefined);
      this.#position = undefined;
      void this.#begin({ epoch, seq });
    }
    this.#heartbeat = setInterval(() => this.#askPresence(), heartbeatInterval);
    this.#askPresence();
  }

  /** What was said before comes first; what is said meanwhile waits. */
  async #begin(joined) {
    const socket = this.#socket;
    this.#held = [];
    const earlier = await this.#history(this.#room).catch(() => []);
    if (socket !== this.#socket) return;
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const frame of earlier) this.#deliver(frame);
    this.#position ??= joined;
    for (const frame of held) this.#deliver(frame);
  }

  #receive(frame) {
    switch (frame.type) {
      case "receive-message":
        if (this.#held === undefined) this.#deliver(frame);
        else this.#held.push(frame);
        break;
      case "gap":
        this.#position = { epoch: frame.epoch, seq: frame.to };
        this.#told.lost(frame.to - frame.from + 1);
        break;
      case "join-room":
        this.#told.joined(frame.from);
        this.#askPresence();
        break;
      case "leave-room":
        this.#told.left(frame.from);
        this.#askPresence();
        break;
      case "event":
        clearTimeout(this.#asked.get(frame.id)?.dead);
        this.#asked.get(frame.id)?.event?.(frame.body);
        break;
      default:
        this.#answered(frame);
    }
  }

  #deliver(frame) {
    const { epoch, seq } = frame;
    const last = this.#position;
    if (last?.epoch === epoch) {
      if (seq <= last.seq) return;
      if (seq > last.seq + 1) this.#told.lost(seq - last.seq - 1);
    } else if (last !== undefined) {
      this.#told.lost(undefined);
    }
    this.#position = { epoch, seq };
    this.#told.message(frame);
  }

  /** Not more often than need be, however many come and go. */
  #askPresence() {
    if (this.#presence !== "known") {
      this.#presence = "stale";
      return;
    }
    this.#presence = "asked";
    this.#ask({ type: "presence", room_id: this.#room })
      .then(({ members, count }) => this.#told.members(members, count))
      .catch(() => undefined);
    setTimeout(() => {
      const stale = this.#presence === "stale";
      this.#presence = "known";
      if (stale && this.#socket !== undefined) this.#askPresence();
    }, presenceInterval);
  }

  /** @param answered is called at once with the answer, before anything that comes after it */
  #ask(frame, event, answered) {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return Promise.reject(new Error("There is no connection."));
    const id = ++this.#lastId;
    socket.send(JSON.stringify({ ...frame, id }));
    return new Promise((resolve, reject) => {
      const dead = setTimeout(() => this.#closed(1006, ""), patience);
      this.#asked.set(id, { resolve, reject, event, answered, dead });
    });
  }

  #answered(frame) {
    const asked = this.#asked.get(frame.id);
    if (asked === undefined) return;
    clearTimeout(asked.dead);
    this.#asked.delete(frame.id);
    if (frame.type === "error") {
      asked.reject(Object.assign(new Error(frame.message), { refused: true }));
    } else {
      asked.answered?.(frame);
      asked.resolve(frame);
    }
  }

  #closed(code, reason) {
    this.#abandon();
    const final = finalCodes.get(code);
    if (final !== undefined) {
      this.#told.state("stopped", final);
      return;
    }
    // Not everybody at once, nor at the same moment.
    const backoff = Math.min(longestWait, firstWait * 2 ** this.#failures++) * (0.5 + Math.random() / 2);
    const wait = Math.max(backoff, 1000 * retryAfter(reason));
    this.#retry = setTimeout(() => this.connect(), wait);
    this.#told.state("waiting", wait);
  }

  /** The socket is over, or treated as if it were. */
  #abandon() {
    const socket = this.#socket;
    this.#socket = undefined;
    clearInterval(this.#heartbeat);
    if (socket !== undefined) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const { dead, reject } of asked) {
      clearTimeout(dead);
      reject(new Error("The connection was lost."));
    }
  }
}

/** Seconds after which a server that shuts down wants to be asked again. */
function retryAfter(reason) {
  try {
    return Number(JSON.parse(reason).retry_after) || 0;
  } catch {
    return 0;
  }
}
