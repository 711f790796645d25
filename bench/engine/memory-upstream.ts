/**
 * Preloaded (`--import`) into a gateway: calls of its own HTTP/2 transport are answered from memory, in the turn of the event
 * loop after they were made, by the reply to the small GET. Nothing else of the gateway is changed.
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { CallStatus } from "../../src/upstream/channel.js";
import type { Http2Transport as Transport } from "../../src/upstream/grpc/http2-transport.js";
import type { TransportListener, TransportStream } from "../../src/upstream/transport.js";
import { smallReply } from "../content.js";
import { encode, loadTypes } from "../protobuf.js";
import { root } from "../repository.js";

const module = pathToFileURL(join(root, "build/src/upstream/grpc/http2-transport.js")).href;
const { Http2Transport } = (await import(module)) as { readonly Http2Transport: typeof Transport };
const reply = encode(loadTypes().lookupType("bench.v1.GetMessageResponse"), smallReply);
const status: CallStatus = { code: 0, message: "", origin: undefined };
const ending = { status, trailers: [], progress: "sent" as const };

const nothing = (): void => undefined;
const stream: TransportStream = { send: nothing, end: nothing, read: nothing, cancel: nothing };

/** Calls that wait for the next turn. */
let waiting: TransportListener[] = [];

function answerAll(): void {
  const listeners = waiting;
  waiting = [];
  for (const listener of listeners) {
    listener.onHeaders([]);
    listener.onMessage(Buffer.from(reply));
    listener.onEnd(ending);
  }
}

Http2Transport.prototype.start = (_call, listener) => {
  if (waiting.push(listener) === 1) setImmediate(answerAll);
  return stream;
};
