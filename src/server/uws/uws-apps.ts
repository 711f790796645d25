import type { HttpRequest, HttpResponse, WebSocketBehavior } from "uWebSockets.js";
import { pathFor } from "../../net/files.js";
import { certificatesByName, type ServerTls, unusable } from "../../net/server-tls.js";
import type { Uws, UwsApp, UwsRoutes } from "../../net/uws-addon.js";

/**
 * The app of a listener. Over TLS there are several: one that accepts connections, and one that handles them, which is
 * replaced when the certificates change, since the addon reads those once, when an app is made. The previous app keeps
 * its connections.
 */
export class UwsApps implements UwsRoutes {
  readonly #uws: Uws;
  readonly #counted: (response: HttpResponse, change: number) => void;
  readonly #routes: ((app: UwsApp) => void)[] = [];
  /** The app that listens, once it has been opened. */
  #listening: UwsApp | undefined;
  /** The app that handles new connections. */
  #current: UwsApp | undefined;
  /** That one, and those that have connections. */
  readonly #used = new Set<UwsApp>();
  #closed = false;

  /** @param counted called for each connection that opens (1) or closes (-1) */
  constructor(uws: Uws, counted: (response: HttpResponse, change: number) => void) {
    this.#uws = uws;
    this.#counted = counted;
  }

  any(pattern: string, handle: (response: HttpResponse, request: HttpRequest) => void): void {
    this.#routes.push(app => void app.any(pattern, handle));
  }

  ws<UserData>(pattern: string, behavior: WebSocketBehavior<UserData>): void {
    this.#routes.push(app => void app.ws(pattern, behavior));
  }

  publish(topic: string, message: string, isBinary: boolean, compress: boolean): boolean {
    let published = false;
    for (const app of this.#used) published = app.publish(topic, message, isBinary, compress) || published;
    return published;
  }

  /**
   * Makes the app that listens, once all routes are added.
   * @throws Error where the certificate cannot be used
   */
  open(tls: ServerTls | undefined): UwsApp {
    if (tls === undefined) {
      const app = this.#uws.App();
      app.filter(this.#counted);
      for (const route of this.#routes) route(app);
      this.#used.add(app);
      this.#listening = app;
    } else {
      const app = this.#secure(tls);
      // It shows nothing: it gives each connection away before the handshake.
      this.#listening = this.#uws.SSLApp({});
      this.#use(app);
    }
    return this.#listening;
  }

  /**
   * @returns a function that has new connections handled with these certificates; no connection is lost
   * @throws Error where they cannot be used
   */
  renew(tls: ServerTls): () => void {
    const app = this.#secure(tls);
    return () => this.#use(app);
  }

  /** Ends all connections. */
  close(): void {
    this.#closed = true;
    this.#listening?.close();
    for (const app of this.#used) app.close();
  }

  #use(app: UwsApp): void {
    const before = this.#current;
    this.#current = app;
    this.#used.add(app);
    this.#listening?.addChildAppDescriptor(app.getDescriptor());
    if (before === undefined) return;
    this.#listening?.removeChildAppDescriptor(before.getDescriptor());
  }

  #secure(tls: ServerTls): UwsApp {
    const app = this.#createSecure(tls);
    let open = 0;
    const counted = (response: HttpResponse, change: number): void => {
      open += change;
      if (open > 0) this.#used.add(app);
      else if (app !== this.#current) this.#used.delete(app);
      this.#counted(response, change);
      // Accepted before the end, but handed over after it.
      if (this.#closed && change > 0) setImmediate(() => app.close());
    };
    app.filter(counted);
    for (const route of this.#routes) route(app);
    for (const [name, { certFile, keyFile }] of certificatesByName(tls)) {
      app.addServerName(name, { cert_file_name: pathFor(certFile), key_file_name: pathFor(keyFile) });
      // Routes added to the app from here on are for connections to that name; there is no way back.
      app.domain(name);
      for (const route of this.#routes) route(app);
    }
    return app;
  }

  #createSecure({ certFile, keyFile }: ServerTls): UwsApp {
    try {
      return this.#uws.SSLApp({ cert_file_name: pathFor(certFile), key_file_name: pathFor(keyFile) });
    } catch (error) {
      throw unusable(certFile, keyFile, error);
    }
  }
}
