import { type Message, type Receiver, type Replay, type RoomPosition, startOf } from "./broker.js";

/** Messages held back while a feed reads those it missed; shared by the feeds of a broker. */
export class HoldingSpace {
  #left: number;

  /** @param bytes of text, about */
  constructor(bytes: number) {
    this.#left = bytes;
  }

  take(size: number): boolean {
    if (size > this.#left) return false;
    this.#left -= size;
    return true;
  }

  give(size: number): void {
    this.#left += size;
  }
}

/** Milliseconds until reading is tried again that failed. */
const retryPause = 1000;

/**
 * Makes one room's messages, as they arrive from a server, the gapless sequence that the hub relies on: duplicates
 * are dropped, a hole is filled from the history, and messages that the history has lost are reported as a gap.
 */
export class RoomFeed {
  readonly #room: string;
  readonly #receiver: Receiver;
  readonly #read: (after: RoomPosition) => Promise<Replay>;
  readonly #space: HoldingSpace;
  #last: RoomPosition | undefined;
  /** Messages that arrived while a position or the history is read, in order. */
  #held: Message[] = [];
  #heldSize = 0;
  #reading = false;
  /** The first message that could not be delivered when something was last released. */
  #stuck: Message | undefined;
  /** Something arrived that could not be buffered, or the connection was lost meanwhile. */
  #again = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param read reads the messages after a position, up to the end of the room */
  constructor(
    room: string,
    receiver: Receiver,
    read: (after: RoomPosition) => Promise<Replay>,
    space: HoldingSpace,
  ) {
    this.#room = room;
    this.#receiver = receiver;
    this.#read = read;
    this.#space = space;
  }

  /** Where the room is, as far as it has been received; undefined until `open`. */
  get position(): RoomPosition | undefined {
    return this.#last;
  }

  /** True while everything has been received that the server has sent. */
  get current(): boolean {
    return this.#last !== undefined && !this.#reading;
  }

  /** Begins with the messages after a position; some may have arrived before. */
  open(position: RoomPosition): void {
    this.#last = position;
    this.#release();
  }

  /** A message from the server. */
  message(message: Message): void {
    if (this.#closed) return;
    if (this.#last === undefined || this.#reading) this.#hold(message);
    else if (!this.#deliver(message)) {
      this.#hold(message);
      this.#fill();
    }
  }

  /** Messages may have been missed: the connection was lost and is back. */
  catchUp(): void {
    if (this.#last === undefined || this.#closed) return;
    if (this.#reading) this.#again = true;
    else this.#fill();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#drop();
  }

  /** @returns false where something is missing before the message */
  #deliver(message: Message): boolean {
    const last = this.#last as RoomPosition;
    const { epoch, seq } = message;
    if (epoch === last.epoch && seq <= last.seq) return true;
    if (seq !== (epoch === last.epoch ? last.seq : startOf(epoch)) + 1) return false;
    this.#last = { epoch, seq };
    this.#receiver.message(this.#room, message);
    return true;
  }

  #hold(message: Message): void {
    const size = message.text.length;
    if (this.#space.take(size)) {
      this.#held.push(message);
      this.#heldSize += size;
    } else {
      this.#drop();
      this.#again = true;
    }
  }

  #drop(): void {
    this.#space.give(this.#heldSize);
    this.#heldSize = 0;
    this.#held = [];
  }

  /** Delivers the held messages. Those still missing before them after the history was read are lost. */
  #release(): void {
    const held = this.#held;
    this.#drop();
    if (held[0] !== undefined && held[0] === this.#stuck) this.#force(held[0]);
    const missing = held.findIndex(message => !this.#deliver(message));
    this.#stuck = held[missing];
    if (missing >= 0) for (const message of held.slice(missing)) this.#hold(message);
    if (missing >= 0 || this.#again) this.#fill();
  }

  #fill(): void {
    this.#reading = true;
    this.#again = false;
    this.#readOn(this.#last as RoomPosition).then(
      replay => {
        if (this.#closed) return;
        this.#reading = false;
        this.#apply(replay);
        this.#release();
      },
      () => {
        if (this.#closed) return;
        this.#timer = setTimeout(() => this.#fill(), retryPause);
      },
    );
  }

  /** Nothing follows a position of an epoch that is over; of the one that has begun since all is new. */
  async #readOn(after: RoomPosition): Promise<Replay> {
    const replay = await this.#read(after);
    const { epoch, seq } = replay.position;
    const start = startOf(epoch);
    const begun = epoch !== after.epoch && seq > start && replay.messages.length === 0;
    return begun ? this.#read({ epoch, seq: start }) : replay;
  }

  #apply({ position, messages }: Replay): void {
    // A room that the server has forgotten begins anew with its next message.
    if (position.seq === startOf(position.epoch)) return;
    const { epoch } = this.#last as RoomPosition;
    if (epoch !== position.epoch) {
      for (const message of this.#held) if (message.epoch === epoch) this.#deliver(message);
      this.#held = this.#held.filter(message => message.epoch !== epoch);
    }
    const first = messages[0]?.seq ?? position.seq + 1;
    for (const message of this.#held) {
      if (message.epoch === position.epoch && message.seq < first) this.#force(message);
    }
    for (const message of messages) this.#force(message);
    this.#skip(position);
  }

  /** Delivers a message, with a gap for those missing before it. */
  #force(message: Message): void {
    this.#skip({ epoch: message.epoch, seq: message.seq - 1 });
    this.#deliver(message);
  }

  /** Skips to a position; the messages before it are lost. */
  #skip({ epoch, seq }: RoomPosition): void {
    const last = this.#last as RoomPosition;
    const next = (epoch === last.epoch ? last.seq : startOf(epoch)) + 1;
    if (seq < next) return;
    this.#last = { epoch, seq };
    this.#receiver.gap(this.#room, epoch, next, seq);
  }
}
