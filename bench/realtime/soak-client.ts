import { WebSocket } from "ws";

/** What a client has seen, all rooms together. */
export interface Account {
  messages: number;
  /** Messages that gaps named. */
  lost: number;
  gaps: number;
  /** Sockets that were closed because they were slow. */
  slow: number;
  resumed: number;
  /** What contradicts the promise, in words; at most ten are kept. */
  readonly broken: string[];
}

interface Place {
  epoch: string;
  /** The next message that must come, or be in a gap. */
  next: number;
  /** Between a join and its ack nothing of the room may come but what `since` asked for. */
  joined: boolean;
}

interface Frame {
  readonly type: string;
  readonly room_id: string;
  readonly id?: number;
  readonly epoch: string;
  readonly seq: number;
  readonly from: number;
  readonly to: number;
  readonly recovered?: boolean;
  readonly reason?: string;
}

/** A client that accounts for every message of its rooms, over all of its sockets. */
export class SoakClient {
  readonly places = new Map<string, Place>();
  #socket: WebSocket | undefined;
  #id = 0;
  readonly #waiting = new Map<number, (frame: Frame) => void>();
  paused = false;

  constructor(
    readonly port: number,
    readonly name: string,
    readonly account: Account,
  ) {}

  /** Opens a socket, and takes its rooms up where it was. */
  async open(): Promise<void> {
    const socket = new WebSocket(`ws://127.0.0.1:${this.port}/ws`, ["bearer", this.name]);
    socket.on("error", () => undefined);
    await new Promise<void>(resolve => {
      socket.once("open", resolve);
      socket.once("close", resolve);
    });
    this.#socket = socket;
    this.paused = false;
    socket.on("message", data => {
      if (this.#socket === socket) this.#read(JSON.parse(String(data)) as Frame);
    });
    socket.on("close", code => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#waiting.clear();
      if (code === 4008) this.account.slow++;
      else this.#break(`closed with ${code}`);
      void this.open();
    });
    for (const [room, place] of this.places) {
      this.account.resumed++;
      const since = { epoch: place.epoch, seq: place.next - 1 };
      if (place.joined) this.#say({ type: "join-room", room_id: room, since });
      else this.places.delete(room);
    }
  }

  join(room: string): void {
    if (this.places.has(room)) return;
    const place: Place = { epoch: "", next: 0, joined: false };
    this.places.set(room, place);
    this.#say({ type: "join-room", room_id: room, id: ++this.#id });
  }

  leave(room: string): void {
    if (this.places.get(room)?.joined !== true) return;
    const id = ++this.#id;
    this.#say({ type: "leave-room", room_id: room, id });
    this.#waiting.set(id, () => this.places.delete(room));
  }

  send(room: string, message: string): void {
    if (this.places.get(room)?.joined) this.#say({ type: "send-message", room_id: room, message });
  }

  /** Ends the socket without a word, and comes back. */
  async reconnect(): Promise<void> {
    const socket = this.#socket;
    // It is on its way already: a second socket would be nobody's.
    if (socket === undefined) return;
    this.#socket = undefined;
    this.#waiting.clear();
    socket.terminate();
    await this.open();
  }

  pause(): void {
    this.paused = true;
    this.#socket?.pause();
  }

  resume(): void {
    this.paused = false;
    this.#socket?.resume();
  }

  /** Where the server says that a room is; undefined where the client is not in it. */
  place(room: string): Promise<number | undefined> {
    const id = ++this.#id;
    this.#say({ type: "join-room", room_id: room, id });
    return new Promise(resolve => {
      this.#waiting.set(id, frame => resolve(frame.type === "ack" ? frame.seq : undefined));
    });
  }

  close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.terminate();
  }

  #say(frame: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #read(frame: Frame): void {
    if (frame.id !== undefined) {
      const waiting = this.#waiting.get(frame.id);
      this.#waiting.delete(frame.id);
      waiting?.(frame);
    }
    const place = this.places.get(frame.room_id);
    if (frame.type === "ack") this.#acknowledged(frame, place);
    else if (frame.type === "receive-message") this.#received(frame, place);
    else if (frame.type === "gap") this.#missed(frame, place);
    else if (frame.type === "error" && frame.reason !== "NOT_A_MEMBER") this.#break(`error ${frame.reason}`);
  }

  #acknowledged(frame: Frame, place: Place | undefined): void {
    if (place === undefined) return;
    if (!place.joined) {
      place.joined = true;
      place.epoch = frame.epoch;
      place.next = frame.seq + 1;
    } else if (frame.recovered === false && frame.epoch !== place.epoch) {
      // A room is forgotten only once it holds nothing.
      if (place.next > 1) this.#break(`${frame.room_id} began anew behind ${place.next - 1}`);
      place.epoch = frame.epoch;
      place.next = frame.seq + 1;
    }
  }

  #received({ room_id, epoch, seq }: Frame, place: Place | undefined): void {
    if (place?.joined !== true) this.#break(`a message of ${room_id}, which it is not in`);
    else if (place.epoch !== epoch || place.next !== seq)
      this.#break(`${room_id}: expected ${place.epoch} ${place.next}, found ${epoch} ${seq}`);
    else {
      place.next++;
      this.account.messages++;
    }
  }

  #missed({ room_id, epoch, from, to }: Frame, place: Place | undefined): void {
    if (place?.epoch !== epoch || place.next !== from || to < from)
      this.#break(`${room_id}: expected a gap from ${place?.next}, found ${from} to ${to}`);
    else {
      place.next = to + 1;
      this.account.gaps++;
      this.account.lost += to - from + 1;
    }
  }

  #break(what: string): void {
    if (this.account.broken.length < 10) this.account.broken.push(`${this.name}: ${what}`);
  }
}
