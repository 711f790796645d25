import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionError, ErrorCode } from "../../src/h2/protocol.js";
import { type LocalSettings, PeerSettings, settingsEntries } from "../../src/h2/settings.js";

const initial: LocalSettings = {
  headerTableSize: 4096,
  initialWindowSize: 65_535,
  maxFrameSize: 16_384,
  maxHeaderListSize: 65_536,
};

/** A SETTINGS payload with one entry. */
function entry(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt16BE(id);
  bytes.writeUInt32BE(value, 2);
  return bytes;
}

test("a server announces its limit of streams and no SETTINGS_ENABLE_PUSH", () => {
  assert.deepEqual(settingsEntries({ ...initial, maxConcurrentStreams: 100 }), [
    [3, 100],
    [4, 65_535],
    [6, 65_536],
  ]);
});

test("a client announces SETTINGS_ENABLE_PUSH of 0, and every size that is not the initial one", () => {
  const settings = { ...initial, enablePush: false, headerTableSize: 0, maxFrameSize: 1 << 20 } as const;
  assert.deepEqual(settingsEntries(settings), [
    [1, 0],
    [2, 0],
    [4, 65_535],
    [5, 1 << 20],
    [6, 65_536],
  ]);
});

test("SETTINGS_ENABLE_PUSH of 1 is allowed from a client and a PROTOCOL_ERROR from a server", () => {
  const bytes = entry(2, 1);
  new PeerSettings("client").apply(bytes, 0, 6);
  assert.throws(
    () => new PeerSettings("server").apply(bytes, 0, 6),
    (error: unknown) => error instanceof ConnectionError && error.code === ErrorCode.ProtocolError,
  );
});

test("SETTINGS_ENABLE_PUSH above 1 is a PROTOCOL_ERROR from either side", () => {
  for (const role of ["client", "server"] as const)
    assert.throws(() => new PeerSettings(role).apply(entry(2, 2), 0, 6), ConnectionError);
});
