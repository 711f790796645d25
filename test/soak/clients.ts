import { once } from "node:events";
import { type Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { type Client, type ServiceError, status } from "@grpc/grpc-js";
import { WebSocket } from "ws";

/** Where clients call. */
export interface Target {
  readonly port: number;
  readonly agent: Agent;
  /** Absent where the engine speaks no HTTP/2. */
  readonly grpc: Client | undefined;
}

/** One thing that clients do over and over. Rejects with a short description where it fails. */
export interface Way {
  readonly name: string;
  /** Milliseconds between the end of one and the start of the next. */
  readonly pauseMs: number;
  run(target: Target): Promise<void>;
}

/** How many messages a stream of the backend has. */
const streamLength = 20;
const large = "x".repeat(16 << 10);

export const restWays: readonly Way[] = [
  {
    name: "GET",
    pauseMs: 10,
    run: async target => {
      expect((await ask(target, "GET", "/v1/items/7")).text === '{"id":"7"}');
    },
  },
  {
    name: "GET on a connection of its own",
    pauseMs: 100,
    run: async ({ port, grpc }) => {
      const target = { port, grpc, agent: false } as const;
      expect((await ask(target, "GET", "/v1/items/7")).text === '{"id":"7"}');
    },
  },
  {
    name: "POST",
    pauseMs: 20,
    run: async target => {
      const { text } = await ask(target, "POST", "/v1/items", json, JSON.stringify({ text: large }));
      expect(text.length > large.length);
    },
  },
  {
    name: "NDJSON",
    pauseMs: 50,
    run: async target => {
      const { text } = await ask(target, "GET", "/v1/watch?id=7", { accept: "application/x-ndjson" });
      expect(text === '{"id":"7"}\n'.repeat(streamLength));
    },
  },
  {
    name: "server-sent events",
    pauseMs: 50,
    run: async target => {
      const { text } = await ask(target, "GET", "/v1/watch?id=7", { accept: "text/event-stream" });
      expect(text.match(/^data: ?\{"id":"7"\}/gm)?.length === streamLength, text.slice(-60));
    },
  },
  {
    name: "upload of NDJSON",
    pauseMs: 50,
    run: async target => {
      const outgoing = open(target, "POST", "/v1/items:send", { "content-type": "application/x-ndjson" });
      const answered = whole(outgoing);
      for (let index = 1; index <= streamLength; index++) {
        outgoing.write(`{"id":"${index}"}\n`);
        await pause(5);
      }
      outgoing.end();
      expect((await answered).text === `{"id":"${streamLength}"}`);
    },
  },
  {
    name: "WebSocket",
    pauseMs: 50,
    run: async ({ port }) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/talk`);
      const closed = once(socket, "close");
      closed.catch(() => undefined);
      let received = 0;
      let failure = "";
      socket.on("message", data => {
        if (String(data).startsWith('{"error"')) failure = reasonOf(String(data));
        if (++received === streamLength) socket.send('{"end":true}');
      });
      await once(socket, "open");
      for (let index = 0; index < streamLength; index++) socket.send('{"id":"7"}');
      const [code] = await closed;
      expect(code === 1000 && received === streamLength, `close ${code} ${failure}`);
    },
  },
  {
    name: "slow reader",
    pauseMs: 50,
    run: async target => {
      const body = JSON.stringify({ text: large });
      const outgoing = open(target, "POST", "/v1/find", { ...json, accept: "application/x-ndjson" }).end(
        body,
      );
      const { bytes } = await whole(outgoing, 25);
      expect(bytes.length > streamLength * large.length, `${bytes.length} bytes`);
    },
  },
  {
    name: "slow writer",
    pauseMs: 50,
    run: async target => {
      const outgoing = open(target, "POST", "/v1/items", json);
      const answered = whole(outgoing);
      outgoing.write('{"text":"');
      for (let index = 0; index < 20; index++) {
        outgoing.write("x".repeat(1000));
        await pause(50);
      }
      outgoing.end('"}');
      expect((await answered).text.length > 20_000);
    },
  },
  {
    name: "client that leaves a stream",
    pauseMs: 50,
    run: async target => {
      const outgoing = open({ ...target, agent: false }, "GET", "/v1/watch?id=7", {
        accept: "text/event-stream",
      }).end();
      const [response] = (await once(outgoing, "response")) as [IncomingMessage];
      response.on("error", () => undefined);
      await Promise.race([once(response, "data"), once(response, "close")]);
      response.destroy();
      expect(response.statusCode === 200, `${response.statusCode}`);
    },
  },
];

const message = Buffer.from([10, 1, 55]);
const call = "/test.v1.Echo";

export const rpcWays: readonly Way[] = [
  {
    name: "Connect",
    pauseMs: 20,
    run: async target => {
      const headers = { ...json, "connect-protocol-version": "1" };
      expect((await ask(target, "POST", `${call}/Get`, headers, '{"id":"7"}')).text === '{"id":"7"}');
    },
  },
  {
    name: "Connect stream",
    pauseMs: 50,
    run: async target => {
      const headers = { "content-type": "application/connect+proto" };
      const { bytes } = await ask(target, "POST", `${call}/Watch`, headers, enveloped(message));
      const envelopes = envelopesOf(bytes);
      const last = envelopes.pop();
      expect(last?.flags === 2 && String(last.content) === "{}", reasonOf(String(last?.content)));
      expect(envelopes.length === streamLength);
    },
  },
  {
    name: "gRPC-Web",
    pauseMs: 50,
    run: async target => {
      const headers = { "content-type": "application/grpc-web+proto" };
      const { bytes } = await ask(target, "POST", `${call}/Watch`, headers, enveloped(message));
      const envelopes = envelopesOf(bytes);
      const trailers = String(envelopes.pop()?.content);
      expect(/^grpc-status: ?0\r?$/m.test(trailers), trailers.split("\r\n")[0]);
      expect(envelopes.length === streamLength);
    },
  },
  {
    name: "gRPC",
    pauseMs: 20,
    run: ({ grpc }) =>
      new Promise((resolve, reject) => {
        grpc?.makeUnaryRequest(`${call}/Get`, same, same, message, error =>
          error === null ? resolve() : reject(codeOf(error)),
        );
      }),
  },
  {
    name: "gRPC stream",
    pauseMs: 50,
    run: async ({ grpc }) => {
      const talk = grpc?.makeBidiStreamRequest(`${call}/Talk`, same, same);
      if (talk === undefined) return;
      let received = 0;
      talk.on("data", () => {
        if (++received === streamLength) talk.end();
      });
      const failed = new Promise<never>((_resolve, reject) =>
        talk.on("error", error => reject(codeOf(error as ServiceError))),
      );
      for (let index = 0; index < streamLength; index++) talk.write(message);
      await Promise.race([once(talk, "status"), failed]);
      expect(received === streamLength);
    },
  },
];

const json = { "content-type": "application/json" };
const same = (bytes: Buffer): Buffer => bytes;

function codeOf({ code, details }: ServiceError): Error {
  return new Error(`${status[code]} ${details}`);
}

interface Answer {
  readonly bytes: Buffer;
  readonly text: string;
}

type Caller = Omit<Target, "agent"> & { readonly agent: Agent | false };

function open(
  { port, agent }: Caller,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): ClientRequest {
  // What fails before the response fails its reader; what fails after it, such as writing more, fails nobody.
  return request({ host: "127.0.0.1", port, agent, method, path, headers }).on("error", () => undefined);
}

function ask(
  target: Caller,
  method: string,
  path: string,
  headers?: Readonly<Record<string, string>>,
  body?: string | Buffer,
): Promise<Answer> {
  return whole(open(target, method, path, headers).end(body));
}

/**
 * The whole response, to be asked for before the request has ended.
 * @param restMs between two chunks
 * @throws Error with status and reason where it is none of success
 */
function whole(outgoing: ClientRequest, restMs = 0): Promise<Answer> {
  const answer = readWhole(outgoing, restMs);
  answer.catch(() => undefined);
  return answer;
}

async function readWhole(outgoing: ClientRequest, restMs: number): Promise<Answer> {
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) {
    chunks.push(chunk);
    if (restMs > 0) await pause(restMs);
  }
  const bytes = Buffer.concat(chunks);
  const text = bytes.toString();
  expect(response.statusCode === 200, `${response.statusCode} ${reasonOf(text)}`);
  expect(!text.includes('{"error":'), `in a stream: ${reasonOf(text)}`);
  return { bytes, text };
}

function reasonOf(text: string): string {
  return /"(?:reason|code)": ?"(\w+)"/.exec(text)?.[1] ?? text.slice(-80);
}

function expect(fine: boolean, what = "not what was expected"): void {
  if (!fine) throw new Error(what);
}

function enveloped(content: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(content.length, 1);
  return Buffer.concat([head, content]);
}

function envelopesOf(bytes: Buffer): { readonly flags: number; readonly content: Buffer }[] {
  const envelopes = [];
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    envelopes.push({ flags: bytes[at] as number, content: bytes.subarray(at + 5, end) });
    at = end;
  }
  return envelopes;
}
