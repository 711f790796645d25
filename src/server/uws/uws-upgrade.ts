import type { HttpResponse, us_socket_context_t } from "uWebSockets.js";
import type { HeaderList } from "../../net/headers.js";
import type { ClientSocket, ClientSocketListener } from "../client-socket.js";
import type { UpgradeRequest } from "../inbound-request.js";
import { ResponseHeadWriter } from "./response-head.js";
import { UwsClientSocket, type UwsSocketData } from "./uws-client-socket.js";

/** The part of its exchange that an upgrade uses. */
interface UpgradeOwner {
  header(name: string): string | undefined;
  underACork(act: () => void): Promise<void>;
  /** @returns false where the client has left */
  take(): boolean;
  closed(): void;
}

const heads = new ResponseHeadWriter();

/** A request for a WebSocket that uWebSockets.js has read. */
export class UwsUpgrade implements UpgradeRequest {
  readonly #response: HttpResponse;
  readonly #context: us_socket_context_t;
  readonly #owner: UpgradeOwner;

  constructor(response: HttpResponse, context: us_socket_context_t, owner: UpgradeOwner) {
    this.#response = response;
    this.#context = context;
    this.#owner = owner;
  }

  /** uWebSockets.js reads on, and reports a client that leaves. */
  watch(): void {}

  accept(): never {
    throw new Error("uWebSockets.js hands no connections over");
  }

  async open(
    headers: HeaderList,
    maxMessageBytes: number,
    opened: (socket: ClientSocket) => ClientSocketListener,
  ): Promise<boolean> {
    const { header } = this.#owner;
    let taken = false;
    await this.#owner.underACork(() => {
      taken = this.#owner.take();
      if (!taken) return;
      const response = this.#response;
      const socket = new UwsClientSocket(maxMessageBytes, response, opened, () => this.#owner.closed());
      heads.begin(101);
      let protocol = "";
      for (const [name, value] of headers)
        if (name === "sec-websocket-protocol") protocol = value;
        else heads.field(name, value);
      response.writeStatus(heads.head);
      response.upgrade<UwsSocketData>(
        { socket },
        header("sec-websocket-key") ?? "",
        protocol,
        "",
        this.#context,
      );
    });
    return taken;
  }
}
