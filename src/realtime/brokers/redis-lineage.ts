import type { Redis } from "ioredis";
import { infoField, type RedisLink } from "./redis-link.js";
import { clock, script } from "./redis-scripts.js";

/** What this node has seen of the store. */
interface Seen {
  lineage: number;
  /** Of the server, and the most messages of all rooms that it has counted in that run. */
  readonly run: string;
  count: number;
}

/** Milliseconds without any node after which nobody can say whether a restarted server went back meanwhile. */
const unwatchedMs = 60_000;

/**
 * Whether the store still is the one that nodes have written: a server that comes back without its last messages, as a
 * promoted replica or from an older snapshot or backup, would give their numbers twice. Then a new lineage begins,
 * once for all nodes, and every room begins a new epoch. It continues over a restart of the server where that writes each
 * command to disk before it confirms it, where a node was there shortly before, and no node has seen a message that is
 * missing.
 */
export class RedisLineage {
  readonly #link: RedisLink;
  readonly #keys: readonly string[];
  readonly #lifeMs: number;
  readonly #timer: NodeJS.Timeout;
  /** Another one after each connection. */
  #seen: Seen = { lineage: 0, run: "", count: 0 };

  /**
   * @param key of the lineage
   * @param lifeMs milliseconds that it is kept without any node: longer than any room
   * @param beatMs milliseconds after which it is written again
   */
  constructor(link: RedisLink, key: string, lifeMs: number, beatMs: number) {
    this.#link = link;
    this.#keys = [key];
    this.#lifeMs = lifeMs;
    this.#timer = setInterval(() => void this.#beat(), beatMs);
    this.#timer.unref();
  }

  /** So many messages of all rooms were counted when one was published. */
  saw(count: number): void {
    if (count > this.#seen.count) this.#seen.count = count;
  }

  /** Before anything is published over a new connection. */
  async check(redis: Redis): Promise<void> {
    const [run, durable] = await runOf(redis);
    const { lineage, run: known, count } = this.#seen;
    const args = [run, durable ? 1 : 0, lineage, known, count, this.#lifeMs, unwatchedMs];
    const found = await redis.eval(checkLineage.lua, 1, ...this.#keys, ...args);
    const [current = 0, counted = 0, lost = 0] = (found as (string | number)[]).map(Number);
    this.#seen = { lineage: current, run, count: counted };
    if (lost === 1) this.#link.wentBack();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #beat(): Promise<void> {
    if (!this.#link.ready) return;
    const seen = this.#seen;
    try {
      const found = await this.#link.run(beatLineage, this.#keys, [this.#lifeMs]);
      const [lineage = 0, count = 0] = found.map(Number);
      if (seen.run !== this.#seen.run) return;
      this.#seen.lineage = Math.max(lineage, this.#seen.lineage);
      this.saw(count);
    } catch {
      // The link has logged it; the next connection checks the lineage.
    }
  }
}

/**
 * A hash has the lineage (`l`, about the time of its beginning), the count of all messages (`n`), the latest run of the
 * server that was seen (`r`), the one before (`p`), the count at the end of that (`b`), and the time when a node was last
 * there (`t`).
 * KEYS lineage. ARGV run of the server, 1 where the run has lost nothing that the one before had confirmed; lineage, run
 * and count that the node has seen, 0 and empty for none; time to live, milliseconds that may pass without any node.
 * Gives lineage and count, then 1 where messages are missing that the node has seen, or may be, since it has missed more
 * than one restart.
 */
const checkLineage = script(`${clock}
local at = redis.call('HMGET', KEYS[1], 'l', 'n', 'r', 'p', 'b', 't')
local lineage, count, run, before, base = tonumber(at[1] or 0), tonumber(at[2] or 0), at[3], at[4], tonumber(at[5] or 0)
local known, seenRun, seen = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local restarted = run ~= ARGV[1]
if restarted then before, base, run = run, count, ARGV[1] end
local lost = lineage < known
if lineage == known and known > 0 then
  if seenRun == run then lost = seen > count
  else lost = seenRun ~= before or seen > base end
end
local watched = known > 0 or now - tonumber(at[6] or 0) < tonumber(ARGV[7])
if lineage == 0 or lost or (restarted and not (ARGV[2] == '1' and watched)) then
  lineage = math.max(lineage + 1, known + 1, now)
end
redis.call('HSET', KEYS[1], 'l', string.format('%.0f', lineage), 'n', string.format('%.0f', count), 'r', run, 'p', before or '', 'b', string.format('%.0f', base), 't', now)
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return {lineage, string.format('%.0f', count), lost and 1 or 0}
`);

/** KEYS lineage. ARGV time to live. Gives lineage and count. */
const beatLineage = script(`${clock}
redis.call('HSET', KEYS[1], 't', now)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
local at = redis.call('HMGET', KEYS[1], 'l', 'n')
return {at[1] or 0, at[2] or 0}
`);

/**
 * The id of the run of a server, and whether it has all that the run before had confirmed as long as its files are the
 * same: it writes each command to disk before. Another one may lack the latest, as a promoted replica may.
 */
async function runOf(redis: Redis): Promise<readonly [run: string, durable: boolean]> {
  const info = await redis.info();
  const run = infoField(info, "run_id");
  const promoted = /[^0]/.test(infoField(info, "master_replid2"));
  if (promoted || infoField(info, "aof_enabled") !== "1") return [run, false];
  try {
    const [, sync] = (await redis.config("GET", "appendfsync")) as string[];
    return [run, sync === "always"];
  } catch {
    // A managed server may not reveal it.
    return [run, false];
  }
}
