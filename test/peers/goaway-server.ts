import { ErrorCode, Flag, FrameType } from "../../src/h2/protocol.js";
import { hpackDecoder } from "../h2/parts.js";
import {
  frame,
  initialHeaders,
  message,
  okTrailers,
  type RawFrame,
  type RawPeer,
  settings,
  startRawServer,
  uint32,
} from "../upstream/h2/raw-server.js";
import type { Peer } from "./go-peer.js";

const follows = 3;

/** Answers as `peer.v1.RotationService`, and tells all connections to go away every so many milliseconds. */
export async function startGoAwayServer(period: number): Promise<Peer> {
  const visits = new Map<string, number>();
  const connections = new Set<Visited>();
  const server = await startRawServer(peer => {
    const connection = new Visited(peer, visits);
    connections.add(connection);
    void peer.closed.then(() => connections.delete(connection));
  });
  const timer = setInterval(() => {
    for (const connection of connections) connection.goAway();
  }, period);
  return {
    port: Number(server.address.split(":")[1]),
    close: async () => {
      clearInterval(timer);
      await server.close();
      const repeated = [...visits.values()].filter(count => count > 1).length;
      return { processed: visits.size, repeated };
    },
  };
}

/**
 * One connection. What the last stream of its GOAWAY says holds (RFC 9113 §6.8): no stream above it was processed or ever
 * is, and those up to it are carried on, also where their requests are not complete yet.
 */
class Visited {
  readonly #peer: RawPeer;
  readonly #visits: Map<string, number>;
  readonly #decoder = hpackDecoder();
  readonly #paths = new Map<number, string>();
  readonly #content = new Map<number, Buffer[]>();
  /** The highest stream whose request was processed. */
  #last = 0;
  #gone = false;

  constructor(peer: RawPeer, visits: Map<string, number>) {
    this.#peer = peer;
    this.#visits = visits;
    peer.send(settings());
    peer.onFrame(each => this.#read(each));
  }

  goAway(): void {
    if (this.#gone) return;
    this.#gone = true;
    const payload = Buffer.concat([uint32(this.#last), uint32(ErrorCode.NoError)]);
    this.#peer.send(frame(FrameType.GoAway, 0, 0, payload));
  }

  #read({ type, flags, stream, payload }: RawFrame): void {
    if (type === FrameType.Headers) {
      this.#decoder.decode(payload, (flags & Flag.Priority) === 0 ? 0 : 5, payload.length, {
        field: ({ name, value }) => {
          if (name === ":path") this.#paths.set(stream, value);
        },
      });
      this.#content.set(stream, []);
    } else if (type === FrameType.Data) {
      this.#content.get(stream)?.push(payload);
      if ((flags & Flag.EndStream) !== 0 && (!this.#gone || stream <= this.#last)) this.#process(stream);
    }
  }

  #process(stream: number): void {
    this.#last = Math.max(this.#last, stream);
    const requests = messagesOf(Buffer.concat(this.#content.get(stream) ?? []));
    this.#content.delete(stream);
    const [first = Buffer.alloc(0)] = requests;
    const id = first.toString("latin1");
    this.#visits.set(id, (this.#visits.get(id) ?? 0) + 1);
    const path = this.#paths.get(stream) ?? "";
    this.#paths.delete(stream);
    const responses = path.endsWith("/Converse")
      ? requests
      : Array.from({ length: path.endsWith("/Follow") ? follows : 1 }, () => first);
    const messages = responses.map(response => frame(FrameType.Data, 0, stream, message(response)));
    // Responses of streams that were processed come after GOAWAY, too.
    setTimeout(
      () => this.#peer.send(initialHeaders(stream), ...messages, okTrailers(stream)),
      Math.random() * 5,
    );
  }
}

function messagesOf(content: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at < content.length; ) {
    const end = at + 5 + content.readUInt32BE(at + 1);
    messages.push(content.subarray(at + 5, end));
    at = end;
  }
  return messages;
}
