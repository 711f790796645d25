import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { ByteWriter } from "../../../src/h2/bytes.js";
import { encodedName, writeString } from "../../../src/h2/hpack-encoder.js";
import { ErrorCode, Flag, FrameType } from "../../../src/h2/protocol.js";

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** A frame, well-formed or not. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A SETTINGS frame. */
export function settings(...entries: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = entries.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id]), uint32(value)]));
  return frame(FrameType.Settings, 0, 0, Buffer.concat(payload));
}

/** A header block of literals. */
export function block(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  const out = new ByteWriter(256);
  for (const [name, value] of fields) {
    out.append(encodedName(name));
    writeString(out, value);
  }
  return Buffer.from(out.bytes.subarray(0, out.length));
}

export const initialBlock = block([
  [":status", "200"],
  ["content-type", "application/grpc"],
]);
export const okBlock = block([["grpc-status", "0"]]);
export const trailersOnlyOk = Buffer.concat([initialBlock, okBlock]);

/** A length-prefixed message. */
export function message(bytes: Uint8Array, flag = 0): Buffer {
  return Buffer.concat([Buffer.from([flag]), uint32(bytes.length), bytes]);
}

export function initialHeaders(stream: number): Buffer {
  return frame(FrameType.Headers, Flag.EndHeaders, stream, initialBlock);
}

export function okTrailers(stream: number): Buffer {
  return frame(FrameType.Headers, Flag.EndHeaders | Flag.EndStream, stream, okBlock);
}

/** A whole response with one message. */
export function response(stream: number, text = "x"): Buffer {
  const data = frame(FrameType.Data, 0, stream, message(Buffer.from(text)));
  return Buffer.concat([initialHeaders(stream), data, okTrailers(stream)]);
}

export function goAway(lastStream: number, code: number = ErrorCode.NoError, debug = ""): Buffer {
  const payload = Buffer.concat([uint32(lastStream), uint32(code), Buffer.from(debug)]);
  return frame(FrameType.GoAway, 0, 0, payload);
}

/** Responds to each request with the number of its connection: `connection 1`. */
export function respondToAll(peer: RawPeer): void {
  peer.send(settings());
  peer.onRequest(stream => peer.send(response(stream, `connection ${peer.index}`)));
}

/** A server that responds to all requests but those of its first connection. @param first called once SETTINGS are sent */
export function firstDiffers(first: (peer: RawPeer) => void): (peer: RawPeer) => void {
  return peer => {
    if (peer.index > 0) {
      respondToAll(peer);
      return;
    }
    peer.send(settings());
    first(peer);
  };
}

/** One connection, seen from the server. */
export class RawPeer {
  readonly socket: Socket;
  /** 0: the first connection of the server. */
  readonly index: number;
  readonly frames: RawFrame[] = [];
  readonly closed: Promise<unknown>;
  readonly #listeners = new Set<(frame: RawFrame) => void>();
  #bytes = Buffer.alloc(0);
  #greeted = false;

  constructor(socket: Socket, index: number) {
    this.socket = socket;
    this.index = index;
    this.closed = new Promise(resolve => socket.once("close", resolve));
    socket.on("error", () => {});
    socket.on("data", bytes => this.#read(bytes));
  }

  send(...bytes: readonly Uint8Array[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(bytes));
  }

  onFrame(listener: (frame: RawFrame) => void): void {
    this.#listeners.add(listener);
  }

  /** Calls back with the id of each stream when it is opened. */
  onRequest(listener: (stream: number) => void): void {
    this.onFrame(({ type, stream }) => {
      if (type === FrameType.Headers) listener(stream);
    });
  }

  /** The first frame that fits, come or to come. */
  seen(fits: (frame: RawFrame) => boolean): Promise<RawFrame> {
    const found = this.frames.find(fits);
    if (found !== undefined) return Promise.resolve(found);
    return new Promise(resolve => {
      const listener = (frame: RawFrame) => {
        if (!fits(frame)) return;
        this.#listeners.delete(listener);
        resolve(frame);
      };
      this.#listeners.add(listener);
    });
  }

  #read(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    if (!this.#greeted && this.#bytes.length >= 24) {
      this.#greeted = true;
      this.#bytes = this.#bytes.subarray(24);
    }
    while (this.#greeted && this.#bytes.length >= 9) {
      const size = this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < 9 + size) return;
      const got = {
        type: this.#bytes[3]!,
        flags: this.#bytes[4]!,
        stream: this.#bytes.readUInt32BE(5),
        payload: Buffer.from(this.#bytes.subarray(9, 9 + size)),
      };
      this.#bytes = this.#bytes.subarray(9 + size);
      this.frames.push(got);
      for (const listener of [...this.#listeners]) listener(got);
    }
  }
}

export interface RawServer {
  readonly address: string;
  readonly peers: readonly RawPeer[];
  /** The first connection, come or to come. */
  readonly first: Promise<RawPeer>;
  close(): Promise<void>;
}

/** A TCP server that says what `talk` says; nothing is sent on its own. */
export async function startRawServer(talk: (peer: RawPeer) => void): Promise<RawServer> {
  const peers: RawPeer[] = [];
  const server = createServer();
  const first = new Promise<RawPeer>(resolve => {
    server.on("connection", socket => {
      const peer = new RawPeer(socket, peers.length);
      peers.push(peer);
      resolve(peer);
      talk(peer);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    peers,
    first,
    close: async () => {
      for (const { socket } of peers) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
