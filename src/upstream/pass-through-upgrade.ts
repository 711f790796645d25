import {
  type ClientRequest,
  type IncomingMessage,
  request as plainRequest,
  type ServerResponse,
} from "node:http";
import { request as secureRequest } from "node:https";
import type { Socket } from "node:net";
import { bearer, bearerToken, offeredProtocols } from "../net/bearer-protocol.js";
import { GatewayError } from "../status/failure.js";
import type { PassThroughTls } from "./pass-through.js";
import { clientLeft } from "./pass-through-body.js";
import { endToEnd, toldHeaders } from "./pass-through-headers.js";
import type { Passed } from "./pass-through-request.js";

/** A request for a WebSocket, from a connection that Node.js has taken its parser off. */
export interface Upgrade {
  /** Assigned to the connection; its headers are for the reply, whatever that is. */
  readonly response: ServerResponse;
  /** The first bytes behind the request. */
  readonly head: Buffer;
  /** Called once, with the status that was sent. */
  answered(status: number): void;
}

export interface UpgradeWay {
  readonly origin: string;
  /** Path and query. */
  readonly target: string;
  /** Milliseconds for the backend to answer, and for one side to end after the other. */
  readonly timeout: number;
  readonly tls: PassThroughTls | undefined;
}

/** What becomes of an upgrade that was no success. */
export interface UpgradeRefused {
  /** The backend answers something else. */
  answered(reply: IncomingMessage): void;
  failed(error: Error): void;
}

/**
 * Asks the backend for a WebSocket and, once it has agreed, joins both connections: frames go through unread, each way
 * as fast as the other side takes them, so that messages may have any size, and close codes, pings and extensions are
 * between the two.
 */
export function passUpgrade(
  request: IncomingMessage,
  upgrade: Upgrade,
  about: Passed,
  way: UpgradeWay,
  refused: UpgradeRefused,
): void {
  const { socket: client } = request;
  const outgoing = ask(request, about, way);
  const timer = setTimeout(() => outgoing.destroy(timedOut()), way.timeout);
  let settled = false;
  const early = readEarly(client, () => outgoing.destroy(new GatewayError(clientLeft())));
  const over = (): Buffer => {
    clearTimeout(timer);
    return early();
  };
  /** The first event decides; what goes wrong in its handling must not end the process. */
  const settle = (act: () => void): void => {
    if (settled) return;
    settled = true;
    try {
      act();
    } catch (error) {
      outgoing.destroy();
      refused.failed(error instanceof Error ? error : new Error(String(error)));
    }
  };
  outgoing.once("response", reply =>
    settle(() => {
      over();
      if (!isFinal(reply.statusCode)) throw new Error("the upstream sent a status that is none");
      reply.setTimeout(way.timeout, () => reply.destroy(timedOut()));
      refused.answered(reply);
    }),
  );
  outgoing.on("error", error =>
    settle(() => {
      over();
      refused.failed(error);
    }),
  );
  outgoing.once("upgrade", (reply, backend: Socket, head: Buffer) => {
    backend.on("error", () => backend.destroy());
    settle(() => {
      const first = Buffer.concat([upgrade.head, over()]);
      if (reply.headers.upgrade?.toLowerCase() !== "websocket") {
        backend.destroy();
        throw new Error("the upstream switched to another protocol");
      }
      const agreed = agreement(request, reply, upgrade.response);
      upgrade.response.detachSocket(client);
      client.write(agreed, "latin1");
      if (head.length > 0) backend.unshift(head);
      if (first.length > 0) client.unshift(first);
      join(client, backend, way.timeout);
      upgrade.answered(101);
    });
  });
  outgoing.end();
}

/**
 * Reads what comes before there is anybody to give it to, since nobody is told of the end of a connection that is not
 * read.
 * @returns ends that, and gives what has come
 */
function readEarly(client: Socket, left: () => void): () => Buffer {
  const chunks: Buffer[] = [];
  let size = 0;
  const read = (): void => {
    const chunk = client.read() as Buffer | null;
    if (chunk === null) return;
    chunks.push(chunk);
    size += chunk.length;
    if (size > mostEarly) client.off("readable", read);
  };
  client.on("readable", read);
  client.once("end", left);
  client.once("close", left);
  return () => {
    client.off("readable", read);
    client.off("end", left);
    client.off("close", left);
    return Buffer.concat(chunks, size);
  };
}

/** Bytes that are read of a client whose upgrade has no answer yet. */
const mostEarly = 65_536;

function ask(request: IncomingMessage, about: Passed, way: UpgradeWay): ClientRequest {
  const url = new URL(way.target, way.origin);
  const headers = toldHeaders(request.headers, about);
  headers.host = url.host;
  headers.connection = "upgrade";
  headers.upgrade = "websocket";
  const offered = request.headers["sec-websocket-protocol"];
  const token = bearerToken(offered);
  if (token !== undefined) {
    // A token among the subprotocols goes on as what it stands for.
    headers.authorization ??= `Bearer ${token}`;
    const others = withoutToken(offered);
    if (others.length > 0) headers["sec-websocket-protocol"] = others.join(", ");
    else delete headers["sec-websocket-protocol"];
  }
  const options = { headers, agent: false, setHost: false };
  return url.protocol === "https:"
    ? secureRequest(url, { ...options, ...way.tls })
    : plainRequest(url, options);
}

function withoutToken(header: string | undefined): string[] {
  const offered = offeredProtocols(header);
  offered.splice(offered.indexOf(bearer), 2);
  return offered;
}

/** RFC 9110 §15: what Node.js hands over as a response can have any number of three digits. */
function isFinal(status = 0): boolean {
  return status >= 200 && status <= 599;
}

/** The head of the reply that makes the connection a WebSocket. */
function agreement(request: IncomingMessage, reply: IncomingMessage, response: ServerResponse): string {
  const own = response.getHeaders();
  const headers = { ...endToEnd(reply.headers), ...own, connection: "upgrade", upgrade: "websocket" };
  // Browsers take no WebSocket with none of the subprotocols that they offered.
  if (bearerToken(request.headers["sec-websocket-protocol"]) !== undefined)
    headers["sec-websocket-protocol"] ??= bearer;
  let text = "HTTP/1.1 101 Switching Protocols\r\n";
  for (const [name, value] of Object.entries(headers)) {
    for (const line of Array.isArray(value) ? value : [value]) text += `${name}: ${line}\r\n`;
  }
  return `${text}\r\n`;
}

/** @param linger milliseconds for one side to end after the other */
function join(client: Socket, backend: Socket, linger: number): void {
  for (const [from, to] of [
    [client, backend],
    [backend, client],
  ] as const) {
    from.setTimeout(0);
    from.setNoDelay(true);
    // A peer that has vanished says nothing.
    from.setKeepAlive(true, keepAlive);
    const ended = (): void => {
      for (const socket of [from, to]) socket.setTimeout(linger, () => socket.destroy());
    };
    from.once("end", ended);
    from.on("error", () => from.destroy());
    from.once("close", () => {
      ended();
      // What it has sent still goes out.
      to.destroySoon();
    });
    from.pipe(to);
  }
}

/** Milliseconds without a word from a peer after which it is asked whether it is there. */
const keepAlive = 30_000;

function timedOut(): Error {
  return Object.assign(new Error("the upstream did not answer the upgrade"), { code: "UPGRADE_TIMEOUT" });
}
