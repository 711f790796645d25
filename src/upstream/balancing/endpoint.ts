import type { EndpointState } from "../channel.js";
import type { Transport } from "../transport.js";

/** One address that calls are balanced over. */
export class Endpoint {
  /** `host:port` as resolved. */
  readonly address: string;
  readonly transport: Transport;
  /** What the health protocol last said; true where nobody was asked. */
  healthy = true;
  #pending = 0;
  #retired = false;

  constructor(address: string, transport: Transport) {
    this.address = address;
    this.transport = transport;
  }

  /** Calls under way. */
  get pending(): number {
    return this.#pending;
  }

  get state(): EndpointState["state"] {
    const { state } = this.transport;
    return this.healthy || state === "failing" ? state : "unhealthy";
  }

  /** Counts a call that begins here. */
  acquire(): void {
    this.#pending++;
  }

  /** Counts a call that is over. */
  release(): void {
    this.#pending--;
    if (this.#retired && this.#pending === 0) this.transport.close();
  }

  /** Takes no more calls; closes the connection once those under way are over. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    if (this.#pending === 0) this.transport.close();
  }
}
