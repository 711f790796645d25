import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { CallStream } from "../../../src/upstream/grpc/call-stream.js";
import { ClientConnection } from "../../../src/upstream/grpc/connection.js";
import { RequestHeads } from "../../../src/upstream/grpc/request-head.js";
import type { StreamOutcome } from "../../../src/upstream/transport.js";
import { settings } from "./raw-server.js";

const heads = new RequestHeads({ secure: false, authority: "test", userAgent: "test" });

/** How a call ends whose connection fails at its write: at once, or after the write was taken. */
async function callOn(fails: (callback: (error: Error) => void) => void): Promise<StreamOutcome> {
  let writes = 0;
  const socket = new Duplex({
    read() {},
    write(_chunk, _encoding, callback) {
      // The first one is the preface.
      if (writes++ === 0) callback();
      else fails(callback);
    },
  });
  socket.on("error", () => {});
  let ready: () => void = () => {};
  const whenReady = new Promise<void>(resolve => {
    ready = resolve;
  });
  const ignore = () => {};
  const host = {
    onReady: ready,
    onRoom: ignore,
    onDraining: ignore,
    onRefused: ignore,
    onTooManyPings: ignore,
    onClosed: ignore,
  };
  const connection = new ClientConnection(
    handlers => {
      socket.once("close", () => handlers.onClose(new Error("write EPIPE")));
      setImmediate(() => {
        handlers.onOpen();
        setImmediate(() => handlers.onRead(settings().length, settings()));
      });
      return socket as unknown as Socket;
    },
    undefined,
    host,
  );
  await whenReady;
  return new Promise(resolve => {
    const call = { path: "/a/b", metadata: [], timeout: undefined, previousAttempts: 0 };
    const listener = { onHeaders: ignore, onMessage: ignore, onWritten: ignore, onEnd: resolve };
    const stream = new CallStream(call, listener, 1000, heads.block("/a/b"), 100);
    connection.adopt(stream);
    stream.send(Buffer.from("x"));
    stream.end();
    stream.read();
  });
}

test("a call whose write fails at once was never sent and may be sent again", async () => {
  assert.equal((await callOn(callback => callback(new Error("write EPIPE")))).progress, "unsent");
});

test("a call whose write fails later may have been processed and is not sent again", async () => {
  const ending = await callOn(callback => setImmediate(() => callback(new Error("write EPIPE"))));
  assert.equal(ending.progress, "sent");
});
