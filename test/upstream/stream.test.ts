import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Metadata, type ServerDuplexStream } from "@grpc/grpc-js";
import { Cancellation } from "../../src/net/cancellation.js";
import { Code } from "../../src/status/code.js";
import type { CallStatus, Channel, StreamCall, StreamHandle } from "../../src/upstream/channel.js";
import {
  type Backend,
  openChannel,
  refusingAddress,
  type StreamHandler,
  startBackend,
  streamPath,
  until,
} from "./backend.js";

/** A stream that notes what comes. */
class Recorder {
  readonly messages: string[] = [];
  readonly cancellation = new Cancellation();
  readonly ended: Promise<CallStatus>;
  readonly handle: StreamHandle;
  headers = 0;
  drained = 0;
  trailers: ReadonlyMap<string, string | Uint8Array> = new Map();

  constructor(channel: Channel, options: Partial<StreamCall> = {}) {
    let resolve: (status: CallStatus) => void;
    this.ended = new Promise(done => {
      resolve = done;
    });
    this.handle = channel.stream({
      path: streamPath,
      metadata: [],
      timeout: 10_000,
      cancellation: this.cancellation,
      onHeaders: () => {
        this.headers++;
      },
      onMessage: message => {
        this.messages.push(String(message));
      },
      onEnd: (status, trailers) => {
        this.trailers = new Map(trailers);
        resolve(status);
      },
      onDrain: () => {
        this.drained++;
      },
      ...options,
    });
  }
}

async function using(
  stream: StreamHandler | undefined,
  run: (channel: Channel, backend: Backend) => Promise<void>,
): Promise<void> {
  const backend = await startBackend(stream === undefined ? {} : { stream });
  const channel = openChannel([backend.address], { maxMessageSize: 1024 * 1024 });
  try {
    await run(channel, backend);
    await channel.close();
  } finally {
    backend.stop();
  }
}

test("a server stream delivers headers, messages in order and trailers", async () => {
  const handler: StreamHandler = call => {
    call.on("data", () => {
      for (const text of ["a", "b", "", "c"]) call.write(Buffer.from(text));
      const trailers = new Metadata();
      trailers.set("x-tail", "t");
      call.end(trailers);
    });
  };
  await using(handler, async channel => {
    const recorder = new Recorder(channel);
    recorder.handle.send(Buffer.from("go"));
    recorder.handle.end();
    assert.equal((await recorder.ended).code, Code.OK);
    assert.deepEqual(recorder.messages, ["a", "b", "", "c"]);
    assert.equal(recorder.headers, 1);
    assert.equal(recorder.trailers.get("x-tail"), "t");
  });
});

test("a client stream sends many messages and receives one", async () => {
  const count: StreamHandler = call => {
    let total = 0;
    call.on("data", () => {
      total++;
    });
    call.on("end", () => {
      call.write(Buffer.from(String(total)));
      call.end();
    });
  };
  await using(count, async channel => {
    const recorder = new Recorder(channel);
    for (let sent = 0; sent < 500; sent++) recorder.handle.send(Buffer.from(`m${sent}`));
    recorder.handle.end();
    assert.equal((await recorder.ended).code, Code.OK);
    assert.deepEqual(recorder.messages, ["500"]);
  });
});

test("a bidirectional stream alternates requests and responses", async () => {
  await using(undefined, async channel => {
    const recorder = new Recorder(channel, {
      onMessage: message => {
        recorder.messages.push(String(message));
        if (recorder.messages.length < 5) recorder.handle.send(Buffer.from(`${message}!`));
        else recorder.handle.end();
      },
    });
    recorder.handle.send(Buffer.from("hi"));
    assert.equal((await recorder.ended).code, Code.OK);
    assert.deepEqual(recorder.messages, ["hi", "hi!", "hi!!", "hi!!!", "hi!!!!"]);
  });
});

test("a stream that ends without any message ends with OK", async () => {
  await using(undefined, async channel => {
    const recorder = new Recorder(channel);
    recorder.handle.end();
    assert.equal((await recorder.ended).code, Code.OK);
    assert.deepEqual(recorder.messages, []);
  });
});

test("a stream that fails after messages delivers these first, then the backend's code", async () => {
  const failing: StreamHandler = call => {
    call.on("data", () => {
      call.write(Buffer.from("a"), () => {
        call.emit("error", { code: 1501, details: "expired" });
      });
    });
  };
  await using(failing, async channel => {
    const recorder = new Recorder(channel);
    recorder.handle.send(Buffer.from("go"));
    assert.deepEqual(await recorder.ended, { code: 1501, message: "expired", origin: "backend" });
    assert.deepEqual(recorder.messages, ["a"]);
  });
});

test("a paused stream stops the backend through flow control and loses no message", async () => {
  const total = 200;
  let written = 0;
  let blocked = false;
  let flooded = false;
  const flood: StreamHandler = async call => {
    if (flooded) return;
    flooded = true;
    const message = Buffer.alloc(64 * 1024, "x");
    for (; written < total; written++) {
      if (call.write(message)) continue;
      blocked = true;
      await once(call, "drain");
      blocked = false;
    }
    call.end();
  };
  await using(flood, async channel => {
    let received = 0;
    const recorder = new Recorder(channel, {
      onMessage: () => {
        received++;
        if (received === 1) recorder.handle.pause();
      },
    });
    await until(() => received === 1 && blocked);
    const before = written;
    // Another stream lives and ends on the connection meanwhile: time enough for what is on its way.
    await new Recorder(channel, { timeout: 300 }).ended;
    assert.equal(received, 1);
    assert.ok(blocked && written - before < 50 && written < total, `${written} of ${total} written`);
    recorder.handle.resume();
    assert.equal((await recorder.ended).code, Code.OK);
    assert.equal(received, total);
  });
});

test("a stream that pauses at every message still gets each once", async () => {
  const handler: StreamHandler = call => {
    call.on("data", () => {
      for (let index = 0; index < 50; index++) call.write(Buffer.from(String(index)));
      call.end();
    });
  };
  await using(handler, async channel => {
    const recorder = new Recorder(channel, {
      onMessage: message => {
        recorder.messages.push(String(message));
        recorder.handle.pause();
        setImmediate(() => recorder.handle.resume());
      },
    });
    recorder.handle.send(Buffer.from("go"));
    recorder.handle.end();
    assert.equal((await recorder.ended).code, Code.OK);
    assert.deepEqual(
      recorder.messages,
      Array.from({ length: 50 }, (_, index) => String(index)),
    );
  });
});

test("send returns false while the backend does not read, and onDrain follows once it does", async () => {
  let backendCall: ServerDuplexStream<Buffer, Buffer> | undefined;
  let size = 0;
  const slow: StreamHandler = call => {
    backendCall = call;
    call.on("end", () => {
      call.write(Buffer.from(String(size)));
      call.end();
    });
  };
  await using(slow, async channel => {
    const recorder = new Recorder(channel);
    const chunk = Buffer.alloc(32 * 1024);
    let sent = 0;
    // One turn for each message lets those go out that can.
    let accepted = true;
    while (accepted) {
      accepted = recorder.handle.send(chunk);
      sent++;
      await new Promise(resolve => setImmediate(resolve));
      assert.ok(sent < 1000, "send never asked to wait");
    }
    await until(() => backendCall !== undefined);
    backendCall?.on("data", message => {
      size += message.length;
    });
    await until(() => recorder.drained > 0);
    recorder.handle.send(chunk);
    recorder.handle.end();
    assert.equal((await recorder.ended).code, Code.OK);
    assert.deepEqual(recorder.messages, [String((sent + 1) * chunk.length)]);
  });
});

test("cancelling a stream ends it at once, also at the backend", async () => {
  let cancelled: Promise<unknown> | undefined;
  const hang: StreamHandler = call => {
    cancelled = once(call, "cancelled");
  };
  await using(hang, async channel => {
    const recorder = new Recorder(channel, { timeout: undefined });
    recorder.handle.send(Buffer.from("x"));
    await until(() => cancelled !== undefined);
    recorder.cancellation.cancel();
    assert.equal((await recorder.ended).origin, "cancelled");
    await cancelled;
    assert.equal(recorder.handle.send(Buffer.from("late")), false);
  });
});

test("the deadline ends a stream, also a paused one", async () => {
  const flood: StreamHandler = call => {
    call.write(Buffer.from("a"));
    call.write(Buffer.from("b"));
  };
  await using(flood, async channel => {
    const recorder = new Recorder(channel, { timeout: 100 });
    recorder.handle.pause();
    const status = await recorder.ended;
    assert.equal(status.code, Code.DEADLINE_EXCEEDED);
    assert.equal(status.origin, "deadline");
    assert.deepEqual(recorder.messages, []);
  });
});

test("a request message that is too large ends the stream before it is sent", async () => {
  await using(undefined, async channel => {
    const recorder = new Recorder(channel);
    assert.equal(recorder.handle.send(Buffer.alloc(1024 * 1024 + 1)), false);
    const status = await recorder.ended;
    assert.equal(status.code, Code.RESOURCE_EXHAUSTED);
    assert.equal(status.origin, "request size");
  });
});

test("a stream that its endpoint never received is sent to another endpoint with its messages and its end", async () => {
  const backend = await startBackend();
  const channel = openChannel([await refusingAddress(), backend.address], { balancing: "pick_first" });
  for (const first of ["", "hello"]) {
    const recorder = new Recorder(channel);
    recorder.handle.send(Buffer.from(first));
    recorder.handle.end();
    assert.equal((await recorder.ended).code, Code.OK);
    assert.deepEqual(recorder.messages, [first]);
  }
  await channel.close();
  backend.stop();
});

test("a stream on a closed channel ends with UNAVAILABLE after its handle is there", async () => {
  const channel = openChannel(["127.0.0.1:1"]);
  await channel.close();
  const status = await new Recorder(channel).ended;
  assert.deepEqual(status, { code: Code.UNAVAILABLE, message: "the channel is closed", origin: "connect" });
});
