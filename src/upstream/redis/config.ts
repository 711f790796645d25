import { checkServerUrls } from "../../config/check.js";
import type { Path } from "../../config/diagnostic.js";
import type { Findings } from "../../config/findings.js";
import { type DraftOf, type Loaded, mapping, text } from "../../config/schema.js";
import { Type } from "../../config/type-builder.js";
import { checkClientTls, tlsBesideUrl } from "../client-tls.js";

/** The keys that say where Redis is, for the mappings of those who use it. */
export const redisServersKeys = {
  url: text("nonempty", {
    description:
      "redis://user:password@host:port/db, or rediss:// for TLS; of sentinels or nodes of a cluster several with commas between.",
  }),
  tls: tlsBesideUrl,
  sentinel: Type.Optional(
    mapping(
      {
        master: text("nonempty", { description: "The name of the master at the sentinels." }),
        username: Type.Optional(text("nonempty", { description: "The user of the sentinels." })),
        password: Type.Optional(text("secret", { description: "The password of the sentinels." })),
      },
      "`url` names sentinels, which know the server; user, password and database in it are those of that server.",
    ),
  ),
  cluster: Type.Optional(
    Type.Literal(true, {
      description: "`url` names nodes of a Redis Cluster, which say where a key is.",
    }),
  ),
};

const RedisServersSchema = mapping(redisServersKeys, "Where Redis is.");

/** The values of `redisServersKeys`. */
export type RedisServersConfig = Loaded<typeof RedisServersSchema>;

/** @param urlAt where the URL is written */
export function checkRedisServers(
  at: Path,
  config: DraftOf<RedisServersConfig>,
  findings: Findings,
  urlAt: Path = [...at, "url"],
): void {
  const urls = checkServerUrls(urlAt, config.url, ["redis:", "rediss:"], findings);
  checkClientTls([...at, "tls"], config.tls, findings);
  if (urls.some(({ pathname }) => !/^(\/\d{0,4})?$/.test(pathname)))
    findings.error(urlAt, "expected the number of a database behind the port, such as redis://host:6379/0");
  else if (config.cluster !== undefined && urls.some(({ pathname }) => !/^\/?0*$/.test(pathname)))
    findings.error(urlAt, "a cluster has no databases; expected a URL without one");
  if (config.cluster !== undefined && "sentinel" in config)
    findings.error([...at, "cluster"], '"sentinel" is there, too; expected one of them');
  if (urls.length > 1 && config.cluster === undefined && !("sentinel" in config))
    findings.error(urlAt, 'several servers need "sentinel" or "cluster: true"');
}
