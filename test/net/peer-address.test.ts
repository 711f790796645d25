import assert from "node:assert/strict";
import { it } from "node:test";
import { PeerAddresses, type PeerConnection } from "../../src/net/peer-address.js";

function peer(...bytes: number[]): PeerConnection & { asked: number } {
  return {
    asked: 0,
    getRemoteAddress() {
      this.asked++;
      return Uint8Array.from(bytes).buffer;
    },
  };
}

const mapped = (...bytes: number[]) => peer(...Array(10).fill(0), 255, 255, ...bytes);

it("addresses read as Node.js writes them", () => {
  const peers = new PeerAddresses();
  assert.equal(peers.addressOf(peer(10, 0, 255, 1)), "10.0.255.1");
  assert.equal(peers.addressOf(mapped(10, 0, 0, 1)), "10.0.0.1");
  assert.equal(peers.addressOf(peer(...Array(15).fill(0), 1)), "::1");
  assert.equal(
    peers.addressOf(peer(0x20, 0x01, 0x0d, 0xb8, ...Array(10).fill(0), 0xab, 0xcd)),
    "2001:db8::abcd",
  );
  assert.equal(peers.addressOf(peer()), "");
});

it("a connection's peer address is not read again while all come from one peer", () => {
  const peers = new PeerAddresses();
  const [first, second] = [peer(10, 0, 0, 1), peer(10, 0, 0, 1)];
  for (const connection of [first, second]) peers.counted(connection, 1);
  for (const connection of [first, second]) {
    assert.equal(peers.addressOf(connection), "10.0.0.1");
    assert.equal(connection.asked, 1);
  }
});

it("after two peers were connected at once the peer address of every connection is read, until none is left", () => {
  const peers = new PeerAddresses();
  const [one, other, third] = [peer(10, 0, 0, 1), peer(10, 0, 0, 2), peer(10, 0, 0, 3)];
  peers.counted(one, 1);
  peers.counted(other, 1);
  peers.counted(one, -1);
  peers.counted(third, 1);
  assert.equal(peers.addressOf(other), "10.0.0.2");
  assert.equal(peers.addressOf(third), "10.0.0.3");
  peers.counted(other, -1);
  peers.counted(third, -1);
  peers.counted(one, 1);
  assert.equal(peers.addressOf(one), "10.0.0.1");
  assert.equal(one.asked, 2);
});
