import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket as NetSocket } from "node:net";
import { test } from "node:test";
import { constants, deflateRawSync } from "node:zlib";
import { closeCodeOf, frameOf, rawSocket, serve, until } from "./harness.js";

// What the portable engine does where the addon of uWebSockets.js does something else.

const portable = { engine: "portable" } as const;

async function deflatingSocket(port: number): Promise<NetSocket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(
    "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n" +
      "sec-websocket-extensions: permessage-deflate; foo=1, permessage-deflate\r\n" +
      "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
  );
  const [head] = (await once(socket, "data")) as [Buffer];
  assert.match(
    head.toString(),
    /^sec-websocket-extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r$/m,
  );
  return socket;
}

/** Resolves when all ids have been answered. */
async function answered(socket: NetSocket, ids: readonly number[]): Promise<void> {
  let text = "";
  socket.on("data", chunk => {
    text += chunk;
  });
  await until(() => ids.every(id => text.includes(`"id":${id},`)));
}

const presence = (id: number): Buffer => Buffer.from(`{"type":"presence","room_id":"x","id":${id}}`);

test("compressed messages are read, each without what came before, those with a final block as well", async t => {
  const { port } = await serve(t, { server: portable, sockets: { deflate: true } });
  const socket = await deflatingSocket(port);
  const flushed = deflateRawSync(presence(1), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
  socket.write(frameOf(0xc1, flushed));
  // RFC 7692 section 7.2.3.4.
  socket.write(frameOf(0xc1, Buffer.concat([deflateRawSync(presence(2)), Buffer.from([0])])));
  socket.write(frameOf(0x41, flushed.subarray(0, 10)));
  socket.write(frameOf(0x80, flushed.subarray(10)));
  socket.write(frameOf(0x81, presence(3)));
  await answered(socket, [1, 2, 3]);
  socket.destroy();
});

test("a compressed message that is larger than the limit once it is inflated ends its socket with 1009", async t => {
  const { port } = await serve(t, { server: portable, sockets: { deflate: true } });
  const socket = await deflatingSocket(port);
  const bomb = deflateRawSync(Buffer.alloc(10_000_000), { finishFlush: constants.Z_SYNC_FLUSH });
  socket.write(frameOf(0xc1, bomb.subarray(0, -4)));
  assert.equal(await closeCodeOf(socket), 1009);
});

test("a compressed message that cannot be inflated ends its socket with 1007", async t => {
  const { port } = await serve(t, { server: portable, sockets: { deflate: true } });
  const socket = await deflatingSocket(port);
  socket.write(frameOf(0xc1, Buffer.alloc(4, 0xff)));
  assert.equal(await closeCodeOf(socket), 1007);
});

test("a message in more pieces than it can need ends its socket with 1008, in fragments or in packets", async t => {
  const { port } = await serve(t, { server: portable });
  const fragments = await rawSocket(port);
  fragments.write(frameOf(0x01, Buffer.from("x")));
  fragments.write(Buffer.concat(Array.from({ length: 2000 }, () => frameOf(0x00, Buffer.from("x")))));
  assert.equal(await closeCodeOf(fragments), 1008);
  const empty = await rawSocket(port);
  empty.write(frameOf(0x01, Buffer.alloc(0)));
  empty.write(Buffer.concat(Array.from({ length: 2000 }, () => frameOf(0x00, Buffer.alloc(0)))));
  assert.equal(await closeCodeOf(empty), 1008);
});

test("a client that ends its side without a close frame is closed, and so is one that never ends it after one", async t => {
  const { port, realtime, metric } = await serve(t, { server: portable });
  const half = await rawSocket(port);
  half.end();
  await once(half.resume(), "close");
  await until(() => realtime.local.open.size === 0);
  assert.equal(await metric('protogate_ws_closes_total{code="1006"}'), 1);
  const closing = await rawSocket(port);
  closing.write(frameOf(0x88, Buffer.from([0x03, 0xe8])));
  assert.equal(await closeCodeOf(closing), 1000);
  await until(() => realtime.local.open.size === 0);
});

test("a request by HTTP/1.0 opens no socket", async t => {
  const { port, realtime } = await serve(t, { server: portable });
  const socket = connect(port, "127.0.0.1");
  socket.write(
    "GET /ws HTTP/1.0\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n" +
      "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
  );
  const [head] = (await once(socket, "data")) as [Buffer];
  assert.doesNotMatch(head.toString(), / 101 /);
  assert.equal(realtime.local.open.size, 0);
  socket.destroy();
});

test("frames that come in one packet with the request for the socket are read", async t => {
  const { port } = await serve(t, { server: portable });
  const socket = connect(port, "127.0.0.1");
  const head =
    "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n" +
    "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
  socket.write(Buffer.concat([Buffer.from(head), frameOf(0x81, presence(7))]));
  await answered(socket, [7]);
  socket.destroy();
});
