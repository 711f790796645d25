import type { Loss, Position } from "../../clients/js/src/index.js";
import { startOf } from "../../src/realtime/brokers/broker.js";

/** Numbered messages of a sender whose numbers grow: `<sender> <number>`. */
export function textOf(sender: string, number: number): string {
  return `${sender} ${number}`;
}

/** Positions whose texts are remembered: more than are under way at any time. */
const rememberedTexts = 50_000;

/** What all members of a room were told, and its senders. */
export class RoomLedger {
  readonly name: string;
  /** The history of the room is so short that members may lose messages, if they are told. */
  readonly short: boolean;
  readonly epochs = new Set<string>();
  acknowledged = 0;
  readonly #texts = new Map<string, string>();
  readonly #broken: (what: string) => void;

  /** @param broken gets a description of whatever contradicts the promise */
  constructor(name: string, short: boolean, broken: (what: string) => void) {
    this.name = name;
    this.short = short;
    this.#broken = broken;
  }

  /** A sender knows that its message is published. */
  published({ epoch, seq }: Position, text: string): void {
    this.acknowledged++;
    this.place(epoch, seq, text);
  }

  /** One position has one text, whoever is told of it. */
  place(epoch: string, seq: number, text: string): void {
    this.epochs.add(epoch);
    const position = `${epoch} ${seq}`;
    const known = this.#texts.get(position);
    if (known !== undefined) {
      if (known !== text) this.#broken(`${this.name}: ${position} is both "${known}" and "${text}"`);
      return;
    }
    this.#texts.set(position, text);
    if (this.#texts.size <= rememberedTexts) return;
    const [oldest = ""] = this.#texts.keys();
    this.#texts.delete(oldest);
  }
}

/** What one member of a room was told: each message once and in order, or that it is lost. */
export class MemberLedger {
  delivered = 0;
  /** Messages that losses named, and the number of losses. */
  lost = 0;
  losses = 0;
  /** Epochs of which it was told that they are over. */
  readonly ended = new Set<string>();
  /** The last message that it was told of; undefined between two epochs. */
  #position: Position | undefined;
  /** The last number of each sender in this epoch. */
  readonly #numbers = new Map<string, number>();
  readonly #room: RoomLedger;
  readonly #broken: (what: string) => void;

  constructor(room: RoomLedger, broken: (what: string) => void) {
    this.#room = room;
    this.#broken = broken;
  }

  /** @param position the last message before the member joined for the first time */
  joined(position: Position | undefined): void {
    if (this.#position === undefined && this.ended.size === 0) this.#position = position;
  }

  get position(): Position | undefined {
    return this.#position;
  }

  /** Whether it was told of everything up to there. */
  has({ epoch, seq }: Position): boolean {
    if (this.ended.has(epoch)) return true;
    return this.#position?.epoch === epoch && this.#position.seq >= seq;
  }

  message(epoch: string, seq: number, text: string): void {
    this.#room.place(epoch, seq, text);
    this.#advance(epoch, seq, seq, `message ${seq} of ${epoch}`);
    this.delivered++;
    // A key is known as long as its message is kept: one that is sent again later may be published again.
    if (this.#room.short) return;
    const [sender = "", number] = text.split(" ");
    const before = this.#numbers.get(sender) ?? 0;
    if (Number(number) <= before) this.#broken(`message ${seq} is "${text}", after ${before} of its sender`);
    this.#numbers.set(sender, Number(number));
  }

  loss({ epoch, from, to }: Loss): void {
    if (to === Number.POSITIVE_INFINITY) {
      if (this.#position?.epoch !== epoch || this.#position.seq !== from - 1)
        this.#broken(`the end of ${epoch} from ${from} on, at ${this.#text}`);
      this.ended.add(epoch);
      this.#position = undefined;
      this.#numbers.clear();
      return;
    }
    this.#advance(epoch, from, to, `a loss of ${from} to ${to} of ${epoch}`);
    if (!this.#room.short) this.#broken(`${from} to ${to} of ${epoch} are lost, though the history has them`);
    this.losses++;
    this.lost += to - from + 1;
  }

  #advance(epoch: string, from: number, to: number, what: string): void {
    const { epoch: known = epoch, seq = startOf(epoch) } = this.#position ?? {};
    if (known !== epoch || seq !== from - 1 || this.ended.has(epoch))
      this.#broken(`${what}, at ${this.#text}`);
    this.#position = { epoch, seq: to };
  }

  get #text(): string {
    return this.#position === undefined
      ? "the start of an epoch"
      : `${this.#position.seq} of ${this.#position.epoch}`;
  }
}
