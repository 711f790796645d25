import type { HttpRequest, HttpResponse, us_listen_socket, us_socket_context_t } from "uWebSockets.js";
import { PeerAddresses } from "../../net/peer-address.js";
import type { ServerTls } from "../../net/server-tls.js";
import { listen, loadUws, type Uws } from "../../net/uws-addon.js";
import { type HeldCork, holdCork } from "../../net/uws-cork.js";
import { type Engine, type EngineOptions, type Refusal, targetLimit } from "../engine.js";
import { RequestHead } from "./request-head.js";
import { UwsApps } from "./uws-apps.js";
import { takeHandshakes } from "./uws-client-socket.js";
import { UwsExchange, type UwsListener } from "./uws-exchange.js";

/**
 * Listens with uWebSockets.js. One wildcard route takes everything: matching is ours, on the raw path.
 *
 * Requests that its parser refuses get its own response, an HTML page with the status 400, 431 or 505; heads that never
 * end and idle connections are closed after about 10 seconds, bodies slower than 16 KiB a second too.
 * @throws AddonError where the addon cannot be loaded
 * @throws the system's error (`EADDRINUSE`, `EACCES`) where it cannot listen
 * @throws Error where the certificate cannot be used
 */
export async function startUwsEngine(options: EngineOptions): Promise<Engine> {
  const uws = await loadUws(options.headerLimit + targetLimit);
  const engine = new UwsEngine(uws, options);
  await engine.listen();
  return engine;
}

class UwsEngine implements Engine, UwsListener {
  readonly encrypted: boolean;
  readonly requestTimeout: number;
  readonly peers = new PeerAddresses();
  readonly #uws: Uws;
  readonly #options: EngineOptions;
  readonly #apps: UwsApps;
  #shown: ServerTls | undefined;
  #socket: us_listen_socket | undefined;
  #port = 0;
  /** Where sockets come in. */
  #cork: HeldCork | undefined;
  #holding: Promise<HeldCork> | undefined;
  #destroyed = false;
  #underWay = 0;
  #closed: (() => void) | undefined;

  constructor(uws: Uws, options: EngineOptions) {
    this.#uws = uws;
    this.#options = options;
    this.#shown = options.tls;
    this.encrypted = options.tls !== undefined;
    this.requestTimeout = options.requestTimeout;
    this.#apps = new UwsApps(uws, (response, change) => this.peers.counted(response, change));
    options.attach?.(this.#apps, {
      peers: this.peers,
      cork: act => (this.#cork === undefined ? act() : this.#cork.run(act)),
      handle: (response, request) => this.#accept(response, request),
    });
    const { upgrades, sockets } = options;
    if (upgrades !== undefined && sockets !== undefined)
      takeHandshakes(this.#apps, sockets, (response, request, context) => {
        const isUpgrade =
          request.getCaseSensitiveMethod() === "GET" &&
          upgrades(request.getUrl(), name => request.getHeader(name)) === "socket";
        this.#accept(response, request, isUpgrade ? context : undefined);
      });
    this.#apps.any("/*", (response, request) => this.#accept(response, request));
  }

  get port(): number {
    return this.#port;
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options;
    if (this.#options.attach !== undefined) {
      this.#holding = holdCork(this.#uws);
      this.#cork = await this.#holding;
    }
    const socket = await this.#open(host, port).catch((error: unknown) => {
      this.#cork?.close();
      throw error;
    });
    this.#socket = socket;
    this.#port = this.#uws.us_socket_local_port(socket);
  }

  async #open(host: string, port: number): Promise<us_listen_socket> {
    return listen(this.#uws, this.#apps.open(this.#options.tls), host, port);
  }

  get shown(): ServerTls | undefined {
    return this.#shown;
  }

  renew(tls: ServerTls): () => void {
    const use = this.#apps.renew(tls);
    return () => {
      use();
      this.#shown = tls;
    };
  }

  close(sockets?: Promise<void>, lingerMs = 0): Promise<void> {
    if (lingerMs > 0) {
      this.#underWay++;
      setTimeout(() => this.finished(), lingerMs);
    }
    if (sockets !== undefined) {
      this.#underWay++;
      const over = (): void => this.finished();
      void sockets.then(over, over);
    }
    if (this.#socket !== undefined) this.#uws.us_listen_socket_close(this.#socket);
    this.#socket = undefined;
    return new Promise(resolve => {
      this.#closed = resolve;
      this.#endWhenIdle();
    });
  }

  destroy(): void {
    this.#destroyed = true;
    this.#apps.close();
    this.#cork?.close();
    this.#cork = undefined;
  }

  async cork(act: () => void): Promise<void> {
    // Concurrent calls share one: a second would never be closed.
    this.#holding ??= holdCork(this.#uws);
    const cork = await this.#holding;
    if (this.#destroyed) {
      cork.close();
      act();
      return;
    }
    this.#cork ??= cork;
    cork.run(act);
  }

  finished(): void {
    this.#underWay--;
    this.#endWhenIdle();
  }

  /** With nothing under way the connections that are left are idle ones. */
  #endWhenIdle(): void {
    if (this.#closed === undefined || this.#underWay > 0) return;
    const closed = this.#closed;
    this.#closed = undefined;
    // Not from within a callback of a connection that this ends.
    setImmediate(() => {
      this.destroy();
      closed();
    });
  }

  /** @param context of a request that is handled as one for a WebSocket */
  #accept(response: HttpResponse, request: HttpRequest, context?: us_socket_context_t): void {
    const head = new RequestHead(request);
    const { headerLimit } = this.#options;
    const fault = head.fault(headerLimit + targetLimit, headerLimit);
    this.#underWay++;
    if (fault !== undefined) {
      this.#refuse(response, fault);
      return;
    }
    const exchange = new UwsExchange(response, head, this, context);
    this.#options.handle(exchange, exchange);
  }

  #refuse(response: HttpResponse, { failure, body }: Refusal): void {
    this.#options.refused(failure);
    let aborted = false;
    response.onAborted(() => {
      aborted = true;
      this.finished();
    });
    // Not within the parser, which would go on to the bytes behind this request.
    setImmediate(() => {
      if (aborted) return;
      response.cork(() => {
        response.writeStatus(`${failure.httpStatus} ${failure.reason}\r\ncontent-type: application/json`);
        response.end(body, true);
      });
      this.finished();
    });
  }
}
