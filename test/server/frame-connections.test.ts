import assert from "node:assert/strict";
import { Socket } from "node:net";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { loadWs } from "../../src/net/ws-parser.js";
import { FrameConnection, frameReceiver } from "../../src/server/node/frame-connection.js";
import { FrameConnections } from "../../src/server/node/frame-connections.js";

class Counted extends FrameConnection {
  flushes = 0;
  override flush(): void {
    this.flushes++;
  }
  protected override onMessage(): void {}
  protected override onPing(): boolean {
    return true;
  }
  protected override onPong(): void {}
  protected override onDrained(): void {}
  protected override onBroken(): void {}
  protected override onClosed(): void {}
}

test("a frame to 5,000 sockets of the portable engine is written over several turns of the event loop, once to each", async () => {
  const owner = new FrameConnections(60_000);
  const receiver = frameReceiver(await loadWs(), 1000, undefined);
  const sockets = Array.from({ length: 5000 }, () => new Counted(owner, new Socket(), receiver));
  const flushed = (): number => sockets.reduce((sum, { flushes }) => sum + flushes, 0);
  for (const socket of sockets) socket.send("x");
  let before = 0;
  let turns = 0;
  while (before < sockets.length) {
    await nextTurn();
    const now = flushed();
    assert.ok(now - before <= 1000, `${now - before} writes in one turn`);
    before = now;
    assert.ok(turns++ < 100);
  }
  for (const socket of sockets) assert.equal(socket.flushes, 1);
});
