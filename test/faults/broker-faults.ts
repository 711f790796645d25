import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { WebSocket } from "ws";
import { missing, startNats, startRedis, type TestServer } from "../realtime/brokers/servers.js";
import type { Fault } from "./fault.js";
import { type FaultyGateway, withGateway } from "./system.js";

type Frame = Readonly<Record<string, unknown>>;

/** A member of the room `general`. */
class Member {
  readonly messages: string[] = [];
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (frame: Frame) => void>();
  #next = 0;

  constructor(gateway: FaultyGateway) {
    this.#socket = new WebSocket(`ws://127.0.0.1:${gateway.realtimePort}/ws`);
    this.#socket.on("message", data => {
      const frame = JSON.parse(String(data)) as Frame;
      if (frame.type === "receive-message") this.messages.push(String(frame.message));
      this.#waiting.get(Number(frame.id))?.(frame);
    });
  }

  async join(): Promise<void> {
    await once(this.#socket, "open");
    assert.equal((await this.#ask({ type: "join-room", room_id: "general", from: "ada" })).type, "ack");
  }

  /** `ack`, or the reason of the refusal. */
  async say(message: string): Promise<string> {
    const frame = await this.#ask({ type: "send-message", room_id: "general", message });
    return frame.type === "ack" ? "ack" : String(frame.reason);
  }

  get open(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  close(): void {
    this.#socket.terminate();
  }

  #ask(frame: Frame): Promise<Frame> {
    const id = ++this.#next;
    const answered = new Promise<Frame>(resolve => this.#waiting.set(id, resolve));
    this.#socket.send(JSON.stringify({ ...frame, id }));
    return answered;
  }
}

const rooms = (
  broker: string,
): string => `realtime: { path: /ws, auth: none, origins: ["*"], broker: ${broker} }
`;

/** What a member sees while the broker is away, and once it is back. */
async function away(gateway: FaultyGateway, cut: () => unknown, mend: () => unknown): Promise<string> {
  const member = new Member(gateway);
  try {
    await member.join();
    assert.equal(await member.say("before"), "ack");
    await cut();
    const meanwhile = await member.say("meanwhile");
    while ((await gateway.ready()) !== 503) await pause();
    await mend();
    while ((await gateway.ready()) !== 200) await pause();
    while ((await member.say("after")) !== "ack") await pause();
    while (!member.messages.includes("after")) await pause();
    assert.ok(member.open, "the socket was closed");
    assert.ok(meanwhile === "BROKER_UNAVAILABLE" || meanwhile === "ack", meanwhile);
    // What was acknowledged has arrived.
    assert.equal(member.messages.includes("before"), true);
    const late = member.messages.includes("meanwhile");
    assert.ok(late || meanwhile !== "ack", "a message that was acknowledged is lost");
    const arrived = late && meanwhile !== "ack" ? ", but it arrived later" : "";
    return `meanwhile ${meanwhile}${arrived}, and /readyz 503; the socket stays, messages go on`;
  } finally {
    member.close();
  }
}

const pause = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 50));

interface Kind {
  readonly name: string;
  readonly program: string;
  start(): Promise<TestServer>;
  broker(port: number, host?: string): string;
  args(host: string): readonly string[];
}

const kinds: readonly Kind[] = [
  {
    name: "Redis",
    program: "redis-server",
    start: () => startRedis(),
    broker: (port, host = "127.0.0.1") => `{ type: redis, url: "redis://${host}:${port}" }`,
    args: host => ["--bind", host, "--port", "6379", "--protected-mode", "no", "--save", ""],
  },
  {
    name: "NATS",
    program: "nats-server",
    start: () => startNats(),
    broker: (port, host = "127.0.0.1") => `{ type: nats, url: "nats://${host}:${port}" }`,
    args: host => ["-a", host, "-p", "4222", "-js", "-sd", `/tmp/protogate-faults-nats-${process.pid}`],
  },
];

export const brokerFaults: readonly Fault[] = kinds.flatMap(kind => {
  const skip = (): string | false => missing(kind.program);
  const withServer = async (work: (server: TestServer) => Promise<string>): Promise<string> => {
    const server = await kind.start();
    try {
      return await work(server);
    } finally {
      await server.close();
    }
  };
  return [
    {
      name: `${kind.name} is killed, and comes back`,
      skip,
      run: () =>
        withServer(server =>
          withGateway(rooms(kind.broker(server.port)), gateway => away(gateway, server.kill, server.start)),
        ),
    },
    {
      name: `${kind.name} is paused`,
      skip,
      run: () =>
        withServer(server =>
          withGateway(rooms(kind.broker(server.port)), gateway =>
            away(gateway, server.suspend, server.resume),
          ),
        ),
    },
    {
      name: `${kind.name} is cut off by the network`,
      skip: () => skip() || noNamespaces(),
      run: () => partitioned(kind),
    },
  ];
});

function noNamespaces(): string | false {
  const name = `pg-probe-${process.pid}`;
  if (process.getuid?.() !== 0) return "network namespaces need root";
  if (spawnSync("ip", ["netns", "add", name]).status !== 0) return "network namespaces cannot be made here";
  spawnSync("ip", ["netns", "del", name]);
  return false;
}

/** The server runs in a network of its own, whose only wire is taken down: nothing is refused, nothing arrives. */
async function partitioned(kind: Kind): Promise<string> {
  const namespace = `pg-fault-${process.pid}`;
  const [near, far] = [`pgf${process.pid % 10_000}a`, `pgf${process.pid % 10_000}b`];
  const net = `10.213.${process.pid % 250}`;
  const ip = (...args: string[]): void => {
    const { status, stderr } = spawnSync("ip", args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
  };
  let child: ChildProcess | undefined;
  ip("netns", "add", namespace);
  try {
    ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", namespace);
    ip("addr", "add", `${net}.1/24`, "dev", near);
    ip("link", "set", near, "up");
    ip("-n", namespace, "addr", "add", `${net}.2/24`, "dev", far);
    ip("-n", namespace, "link", "set", far, "up");
    const args = ["netns", "exec", namespace, kind.program, ...kind.args(`${net}.2`)];
    child = spawn("ip", args, { stdio: "ignore" });
    const port = kind.name === "Redis" ? 6379 : 4222;
    return await withGateway(rooms(kind.broker(port, `${net}.2`)), gateway =>
      away(
        gateway,
        () => ip("link", "set", near, "down"),
        () => ip("link", "set", near, "up"),
      ),
    );
  } finally {
    child?.kill("SIGKILL");
    if (child !== undefined && child.exitCode === null && child.signalCode === null)
      await once(child, "exit");
    spawnSync("ip", ["netns", "del", namespace]);
    spawnSync("ip", ["link", "del", near]);
  }
}
