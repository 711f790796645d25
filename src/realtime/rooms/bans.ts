import { gatewayError } from "../../status/failure.js";

/** Bans that are remembered; the oldest are forgotten first. */
const maxBans = 10_000;
/** Most seconds of a ban: as long as brokers keep signals. */
export const maxBanSeconds = 3600;

/** The names that may not join a room for a time. */
export class Bans {
  /** Milliseconds since 1970, by room and subject. */
  readonly #until = new Map<string, number>();

  add(room: string, subject: string, until: number): void {
    const key = keyOf(room, subject);
    this.#until.delete(key);
    if (until <= Date.now()) return;
    this.#until.set(key, until);
    if (this.#until.size <= maxBans) return;
    const [oldest = ""] = this.#until.keys();
    this.#until.delete(oldest);
  }

  /** @throws GatewayError BANNED */
  require(room: string, subject: string): void {
    if (this.#until.size === 0) return;
    const key = keyOf(room, subject);
    const until = this.#until.get(key);
    if (until === undefined) return;
    const left = until - Date.now();
    if (left > 0) {
      const retryAfter = Math.ceil(left / 1000);
      throw gatewayError("BANNED", "a server has removed you from this room for a time", [], { retryAfter });
    }
    this.#until.delete(key);
  }
}

/** No name has a line break. */
function keyOf(room: string, subject: string): string {
  return `${room}\n${subject}`;
}
