import { createSecretKey } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { fileProblem } from "../config/diagnostic.js";
import { Formats } from "../config/format.js";
import { redactUrl } from "../config/redaction.js";
import type { JwtConfig } from "./auth-schema.js";
import type { AuthDependencies, AuthEvent } from "./dependencies.js";
import { jwkSetLimit, parseJwkSet } from "./jwk-set.js";
import { reasonOf } from "./provider.js";
import { publicKey } from "./public-key.js";
import { RemoteKeySet } from "./remote-key-set.js";
import { fixedKey, KeySet, type TokenKeys, unknownKey } from "./token-keys.js";
import { watchedFile } from "./watched-file.js";

/** Milliseconds for a whole key set to arrive. */
const fetchTimeout = 5000;

/** The keys that a provider trusts. @throws Error where they are in a file that cannot be used */
export function jwtKeys(name: string, config: JwtConfig, dependencies: AuthDependencies): TokenKeys {
  const say = (level: AuthEvent["level"], message: string): void =>
    dependencies.log({ level, provider: name, message });
  const { jwks, public_key: pem, secret } = config;
  if (secret !== undefined) {
    const bytes = Buffer.from(secret);
    const least = Math.max(...config.algorithms.map(algorithm => Number(algorithm.slice(2)) / 8));
    if (bytes.length < least)
      say("warn", `the secret is shorter than the ${least} bytes that RFC 7518 §3.2 asks for`);
    return fixedKey(createSecretKey(bytes));
  }
  if (pem !== undefined) return fixedKey(publicKey(pem, config.algorithms));
  const place = String(jwks);
  if (Formats.pathOrUrl.isPath?.(place)) return fileKeys(place, say);
  if (place.startsWith("http:"))
    say("warn", "the key set is fetched without TLS; whoever is in between can replace it");
  return remoteKeys(name, place, config, dependencies, say);
}

/** The key set in a file. @throws Error that names the file */
export function readJwkSetFile(file: string) {
  let text: string;
  try {
    if (statSync(file).size > jwkSetLimit) throw new Error(`is larger than ${jwkSetLimit} bytes`);
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new Error(
      `"${file}" ${error instanceof Error && !("code" in error) ? error.message : fileProblem(error)}`,
    );
  }
  try {
    return parseJwkSet(text);
  } catch (error) {
    throw new Error(`"${file}" ${reasonOf(error)}`);
  }
}

type Say = (level: AuthEvent["level"], message: string) => void;

function fileKeys(file: string, say: Say): TokenKeys {
  const keys = new KeySet();
  const watched = watchedFile(
    file,
    () => keys.replace(readJwkSetFile(file)),
    problem => {
      if (problem === undefined) say("info", "the key set has been read again");
      else say("warn", `${reasonOf(problem)}; the keys from before stay`);
    },
  );
  return {
    get version() {
      return keys.version;
    },
    candidates: async (...token) => {
      try {
        return await keys.candidates(...token);
      } catch (error) {
        throw watched.problem === undefined ? error : unknownKey(error, "the file of the key set has errors");
      }
    },
    close: () => watched.close(),
  };
}

function remoteKeys(
  name: string,
  url: string,
  { refresh, cooldown }: JwtConfig,
  { metrics }: AuthDependencies,
  say: Say,
): TokenKeys {
  const counters = metrics.refreshes(name);
  let failing = false;
  const keys: RemoteKeySet = new RemoteKeySet({
    url,
    refresh,
    cooldown,
    timeout: fetchTimeout,
    clock: () => performance.now(),
    fetched: error => {
      counters[error === undefined ? "success" : "failure"].inc();
      if (error !== undefined) say("warn", notFetched(url, reasonOf(error), keys.fetchedAt !== undefined));
      else if (failing) say("info", "the key set can be fetched again");
      failing = error !== undefined;
    },
  });
  const age = (): number | undefined => keys.fetchedAt;
  metrics.fetchedFrom(name, age);
  return {
    get version() {
      return keys.version;
    },
    candidates: (...token) => keys.candidates(...token),
    close: () => {
      keys.close();
      metrics.forget(name, age);
    },
  };
}

function notFetched(url: string, reason: string, before: boolean): string {
  if (before) return `the key set ${reason}; the last good one stays`;
  return `no key set from ${redactUrl(url)} yet: ${reason}; tokens are refused with 503`;
}
