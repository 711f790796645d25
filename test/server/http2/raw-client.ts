import { connect, type Socket } from "node:net";
import type { HeaderField } from "../../../src/h2/hpack-table.js";
import { Flag, FrameType } from "../../../src/h2/protocol.js";
import { hpackDecoder } from "../../h2/parts.js";
import { block, frame, type RawFrame, settings } from "../../upstream/h2/raw-server.js";

export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Header fields of a GET, with changes: `undefined` takes one away. */
export function getFields(
  changes: Readonly<Record<string, string | undefined>> = {},
): (readonly [name: string, value: string])[] {
  const all = { ":method": "GET", ":scheme": "http", ":path": "/", ":authority": "example.com", ...changes };
  return Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
}

/** HEADERS of a whole request. */
export function get(stream: number, changes?: Readonly<Record<string, string | undefined>>): Buffer {
  return frame(FrameType.Headers, Flag.EndHeaders | Flag.EndStream, stream, block(getFields(changes)));
}

/** HEADERS of a request whose body follows. */
export function post(stream: number, changes?: Readonly<Record<string, string | undefined>>): Buffer {
  const fields = block(getFields({ ":method": "POST", ...changes }));
  return frame(FrameType.Headers, Flag.EndHeaders, stream, fields);
}

/** A client that sends what it is told to, well-formed or not, and keeps the frames that come back. */
export class RawClient {
  readonly socket: Socket;
  readonly frames: RawFrame[] = [];
  readonly closed: Promise<unknown>;
  /** All bytes that came back. */
  received = 0;
  readonly #decoder = hpackDecoder();
  readonly #heads = new Map<RawFrame, HeaderField[]>();
  #listeners: (() => void)[] = [];
  #bytes = Buffer.alloc(0);
  #over = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise(resolve => socket.once("close", resolve));
    socket.on("error", () => undefined);
    socket.on("data", bytes => this.#read(bytes));
    socket.on("close", () => {
      this.#over = true;
      this.#tell();
    });
  }

  /** @param greeting what it sends at first */
  static open(port: number, greeting: Buffer = Buffer.concat([preface, settings()])): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1" }, () => {
        const client = new RawClient(socket);
        client.send(greeting);
        resolve(client);
      });
      socket.once("error", reject);
    });
  }

  send(...bytes: readonly Uint8Array[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(bytes));
  }

  /** The first frame that fits, come or to come. Rejects where the connection ends without it. */
  async seen(fits: (frame: RawFrame) => boolean): Promise<RawFrame> {
    for (;;) {
      const found = this.frames.find(fits);
      if (found !== undefined) return found;
      if (this.#over) {
        const got = this.frames.map(
          ({ type, stream, payload }) => `${type}:${stream}:${payload.toString("latin1")}`,
        );
        throw new Error(`the connection has ended; seen: ${got.join(" ")}`);
      }
      await new Promise<void>(resolve => this.#listeners.push(resolve));
    }
  }

  /** The error code with which the server resets a stream. */
  async resetOf(stream: number): Promise<number> {
    const { payload } = await this.seen(each => each.type === FrameType.RstStream && each.stream === stream);
    return payload.readUInt32BE(0);
  }

  /** The error code of GOAWAY, whose text is about the error. */
  async goAway(): Promise<{ readonly last: number; readonly code: number; readonly text: string }> {
    const { payload } = await this.seen(
      each => each.type === FrameType.GoAway && each.payload.readUInt32BE(0) !== 0x7fff_ffff,
    );
    return {
      last: payload.readUInt32BE(0),
      code: payload.readUInt32BE(4),
      text: payload.toString("latin1", 8),
    };
  }

  /** Header fields of the first block of a stream. */
  async head(stream: number): Promise<Readonly<Record<string, string>>> {
    const found = await this.seen(each => each.type === FrameType.Headers && each.stream === stream);
    return Object.fromEntries(this.#heads.get(found)!.map(({ name, value }) => [name, value]));
  }

  async status(stream: number): Promise<string | undefined> {
    return (await this.head(stream))[":status"];
  }

  /** The end of a stream, however many frames it takes. @returns its content */
  async content(stream: number): Promise<string> {
    await this.seen(
      each => each.stream === stream && each.type <= FrameType.Headers && (each.flags & Flag.EndStream) !== 0,
    );
    const parts = this.frames.filter(each => each.stream === stream && each.type === FrameType.Data);
    return Buffer.concat(parts.map(({ payload }) => payload)).toString();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #read(bytes: Buffer): void {
    this.received += bytes.length;
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#bytes.length >= 9) {
      const size = 9 + this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < size) break;
      this.#take(this.#bytes.subarray(0, size));
      this.#bytes = this.#bytes.subarray(size);
    }
    this.#tell();
  }

  #take(bytes: Buffer): void {
    const payload = Buffer.from(bytes.subarray(9));
    const got = { type: bytes[3]!, flags: bytes[4]!, stream: bytes.readUInt32BE(5), payload };
    if (got.type === FrameType.Headers) {
      const fields: HeaderField[] = [];
      this.#decoder.decode(payload, 0, payload.length, { field: field => void fields.push(field) });
      this.#heads.set(got, fields);
    }
    this.frames.push(got);
  }

  #tell(): void {
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const each of listeners) each();
  }
}
