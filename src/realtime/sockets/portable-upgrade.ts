import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Socket as NetSocket } from "node:net";
import type { Caller, ClientCertificate } from "../../auth/caller.js";
import { clientAddress } from "../../net/forwarded-list.js";
import { plainAddress } from "../../net/peer-address.js";
import { acceptOf } from "../../server/node/node-upgrade.js";
import type { Socket } from "../rooms/socket.js";
import type { PendingUpgrade, RefusingClose, SocketUpgradeOptions, UpgradeRefusal } from "./upgrade.js";

/** How sockets come in by a server of Node.js. */
export interface PortableOptions extends SocketUpgradeOptions {
  /** The verified certificate of a connection's client; absent where none are requested. */
  certificateOf?(net: NetSocket): ClientCertificate | undefined;
}

/** Milliseconds that a client has to read a refusal and end its side. */
const refusalTimeoutMs = 5000;

/** A request for a WebSocket that Node.js has read. */
export class PortableUpgrade implements PendingUpgrade {
  readonly path: string;
  readonly caller: Caller;
  readonly #options: PortableOptions;
  readonly #net: NetSocket;
  readonly #opened: (opened: Socket | RefusingClose, deflate: boolean) => void;
  #over = false;

  /** @param opened the response is out: frames follow, or the close. `deflate` where messages may be compressed */
  constructor(
    options: PortableOptions,
    request: IncomingMessage,
    net: NetSocket,
    opened: (opened: Socket | RefusingClose, deflate: boolean) => void,
  ) {
    const { url = "", headers } = request;
    const mark = url.indexOf("?");
    const header = (name: string): string | undefined => {
      const value = headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    };
    const peer = plainAddress(net.remoteAddress ?? "");
    this.path = mark < 0 ? url : url.slice(0, mark);
    this.caller = {
      clientAddress: clientAddress(peer, header("x-forwarded-for"), options.trustedHops),
      method: "GET",
      path: this.path,
      query: mark < 0 ? "" : url.slice(mark + 1),
      encrypted: options.encrypted,
      header,
      cookies: () => header("cookie"),
      certificate: () => options.certificateOf?.(net),
    };
    this.#options = options;
    this.#net = net;
    this.#opened = opened;
    net.setTimeout(0);
    net.on("error", () => net.destroy());
  }

  get over(): boolean {
    return this.#over || !this.#net.writable;
  }

  open(socket: Socket, protocol: string, headers: UpgradeRefusal["headers"]): void {
    this.#upgrade(socket, protocol, headers);
  }

  openAndClose(protocol: string, close: RefusingClose): void {
    this.#upgrade(close, protocol, []);
  }

  #upgrade(opened: Socket | RefusingClose, protocol: string, headers: UpgradeRefusal["headers"]): void {
    this.#over = true;
    const { header } = this.caller;
    const deflate = this.#options.deflate ? acceptDeflate(header("sec-websocket-extensions")) : undefined;
    const lines = [
      "HTTP/1.1 101 Switching Protocols",
      "upgrade: websocket",
      "connection: Upgrade",
      `sec-websocket-accept: ${acceptOf(header("sec-websocket-key") ?? "")}`,
    ];
    if (protocol !== "") lines.push(`sec-websocket-protocol: ${protocol}`);
    for (const [name, value] of headers) lines.push(`${name}: ${value}`);
    if (deflate !== undefined) lines.push(`sec-websocket-extensions: ${deflate.response}`);
    this.#net.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
    this.#opened(opened, deflate !== undefined);
  }

  refuse({ status, headers, body }: UpgradeRefusal): void {
    this.#over = true;
    const net = this.#net;
    const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "unknown"}`, "connection: close"];
    for (const [name, value] of headers) lines.push(`${name}: ${value}`);
    lines.push(`content-length: ${Buffer.byteLength(body)}`);
    net.end(`${lines.join("\r\n")}\r\n\r\n${body}`);
    // Unread bytes would reset the connection, and the client might lose the response.
    net.resume();
    net.setTimeout(refusalTimeoutMs, () => net.destroy());
    net.once("end", () => net.destroy());
  }
}

/** A client's offer of permessage-deflate that is accepted. */
interface AcceptedDeflate {
  /** For `sec-websocket-extensions` of the response. */
  readonly response: string;
}

/**
 * The first acceptable offer of permessage-deflate; invalid offers are declined, as RFC 7692 section
 * 7.1 requires. Messages are compressed one by one and with the whole window, so that all members of a room can be sent
 * the same bytes: an offer with a smaller window is declined, too.
 * @param header `sec-websocket-extensions`, several lines joined by commas
 */
export function acceptDeflate(header: string | undefined): AcceptedDeflate | undefined {
  for (const offer of header?.split(",") ?? []) {
    const [name, ...rest] = offer.split(";").map(each => each.trim());
    if (name !== "permessage-deflate") continue;
    const params = readParameters(rest);
    if (params === undefined) continue;
    const window = params.get("server_max_window_bits");
    if (window !== undefined && window !== widest) continue;
    const response = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    return { response: window === undefined ? response : `${response}; server_max_window_bits=${widest}` };
  }
  return undefined;
}

const widest = "15";

/** @returns undefined where one is unknown, is there twice or has a value that it cannot have */
function readParameters(texts: readonly string[]): ReadonlyMap<string, string> | undefined {
  const params = new Map<string, string>();
  for (const text of texts) {
    const [, name = "", quoted, token] = parameter.exec(text) ?? [];
    const value = quoted ?? token;
    const isValid = values.get(name);
    if (isValid?.(value) !== true || params.has(name)) return undefined;
    params.set(name, value ?? "");
  }
  return params;
}

const parameter = /^([a-z_]+)(?:\s*=\s*(?:"([^"]*)"|([^"\s]+)))?$/;
const bits = /^(?:[89]|1[0-5])$/;

/** The legal values of parameters (RFC 7692 section 7.1). */
const values: ReadonlyMap<string, (value: string | undefined) => boolean> = new Map([
  ["server_no_context_takeover", (value: string | undefined) => value === undefined],
  ["client_no_context_takeover", (value: string | undefined) => value === undefined],
  ["server_max_window_bits", (value: string | undefined) => value !== undefined && bits.test(value)],
  ["client_max_window_bits", (value: string | undefined) => value === undefined || bits.test(value)],
]);
