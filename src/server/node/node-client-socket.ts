import type { Socket } from "node:net";
import type { FrameReceiver } from "../../net/ws-parser.js";
import { type ClientSocket, type ClientSocketListener, maxUnreadPings } from "../client-socket.js";
import { type BrokenFrame, FrameConnection, type FrameOwner } from "./frame-connection.js";
import { opcode, serverFrame } from "./server-frames.js";

/** The socket of a client over a connection of Node.js. */
export class NodeClientSocket extends FrameConnection implements ClientSocket {
  readonly #listener: ClientSocketListener;
  #ended = false;
  /** Since the client has last read all. */
  #pings = 0;

  constructor(
    owner: FrameOwner,
    net: Socket,
    receiver: FrameReceiver,
    opened: (socket: ClientSocket) => ClientSocketListener,
  ) {
    super(owner, net, receiver);
    this.#listener = opened(this);
  }

  get bufferedBytes(): number {
    return this.getBufferedAmount();
  }

  sendText(text: string): void {
    this.send(text);
  }

  sendBinary(bytes: Uint8Array): void {
    this.write(serverFrame(opcode.binary, bytes));
  }

  override end(code: number, reason: string): void {
    this.#ended = true;
    super.end(code, reason);
  }

  protected override onMessage(data: Buffer, isBinary: boolean): void {
    if (!this.#ended) this.#listener.received(data, isBinary);
  }

  protected override onPing(): boolean {
    if (this.bufferedBytes === 0) this.#pings = 0;
    else if (++this.#pings > maxUnreadPings) return false;
    return true;
  }

  protected override onPong(): void {}

  protected override onDrained(): void {
    this.#listener.drained();
  }

  protected override onBroken(code: BrokenFrame): void {
    if (!this.#ended) this.#listener.broken(code);
  }

  protected override onClosed(code: number): void {
    if (!this.#ended) this.#listener.left(code);
  }
}
