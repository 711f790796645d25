import type { Socket } from "node:net";
import { ByteWriter } from "../../h2/bytes.js";
import { StreamTable } from "../../h2/stream-table.js";
import { maxBufferedBytes, TickWriter } from "../../net/tick-writer.js";
import type { TrpcCall } from "./call.js";
import { writeRequest } from "./request-header.js";

/** From here on a connection takes no more calls: ids have 32 bits and are not used again, and some calls are on their way. */
const lastUsableId = 2 ** 32 - 2 ** 21;

const noCalls: readonly TrpcCall[] = [];

/** The sending half of a connection: it gives calls their ids and writes them, those of one turn at once. */
export class RequestSender extends TickWriter<ByteWriter> {
  /** Calls that wait to be written, oldest first; those that were cancelled too. */
  readonly #waiting: TrpcCall[] = [];
  /** Calls that wait for a response, by id. */
  readonly #calls = new StreamTable<TrpcCall>();
  /** Calls that wait and whose request is not there yet; empty between two writes. */
  readonly #compressing: TrpcCall[] = [];
  /** One-way calls that are in the buffer. */
  readonly #oneWay: TrpcCall[] = [];
  readonly #onSent: (oneWay: readonly TrpcCall[]) => void;
  #nextId: number;
  /** Of the calls from this id on nothing was given to the socket. */
  #unsentId: number;

  /**
   * `onSent`: calls were given to the socket, of which those that are one-way are over.
   * @param firstId of the first call; above 0
   */
  constructor(socket: Socket, onSent: (oneWay: readonly TrpcCall[]) => void, firstId = 1) {
    super(socket, capacity => new ByteWriter(capacity));
    this.#onSent = onSent;
    this.#nextId = firstId;
    this.#unsentId = firstId;
  }

  /** Ids are running out. */
  get exhausted(): boolean {
    return this.#nextId >= lastUsableId;
  }

  /** There may have been a call of that id. */
  existed(id: number): boolean {
    return id > 0 && id < this.#unsentId;
  }

  /** The call of an id that waits for its response. */
  find(id: number): TrpcCall | undefined {
    return this.#calls.get(id);
  }

  delete(id: number): void {
    this.#calls.delete(id);
  }

  /** Calls that wait for a response. */
  get awaited(): number {
    return this.#calls.size;
  }

  enlist(call: TrpcCall): void {
    this.#waiting.push(call);
    this.schedule();
  }

  wake(): void {
    this.schedule();
  }

  /** Takes out all calls, with whether something of each may have reached the peer. */
  takeAll(): (readonly [call: TrpcCall, sent: boolean])[] {
    const calls = this.#calls.all().map(call => [call, call.id < this.#unsentId] as const);
    const unsent = [...this.#oneWay, ...this.#waiting].map(call => [call, false] as const);
    this.#calls.clear();
    this.#oneWay.length = this.#waiting.length = 0;
    return [...calls, ...unsent];
  }

  protected fill(): void {
    const waiting = this.#waiting;
    const { out } = this;
    let next = 0;
    for (; next < waiting.length && out.length < maxBufferedBytes; next++) {
      const call = waiting[next]!;
      const { request } = call;
      if (call.closed) continue;
      if (request === undefined) {
        this.#compressing.push(call);
        continue;
      }
      call.id = this.#nextId++;
      writeRequest(out, call.id, call, request);
      call.request = undefined;
      if (call.block.oneWay) this.#oneWay.push(call);
      else this.#calls.add(call);
    }
    if (next === waiting.length) waiting.length = 0;
    else waiting.splice(0, next);
    if (this.#compressing.length > 0) waiting.unshift(...this.#compressing.splice(0));
  }

  protected onGiven(): void {
    this.#unsentId = this.#nextId;
    this.#onSent(this.#oneWay.length === 0 ? noCalls : this.#oneWay.splice(0));
  }
}
