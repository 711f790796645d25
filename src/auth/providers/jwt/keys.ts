import { createPublicKey, createSecretKey, type KeyObject, X509Certificate } from "node:crypto";
import { isPlainUrl } from "../../../config/address.js";
import { fileProblem } from "../../../config/diagnostic.js";
import { Formats } from "../../../config/format.js";
import { redactUrl } from "../../../config/redaction.js";
import { errorMessage } from "../../../net/error-text.js";
import { readFileSync, statSync } from "../../../net/files.js";
import type { AuthDependencies, AuthEvent } from "../../provider.js";
import { discover } from "../issuer.js";
import { watchedFile } from "../watched-file.js";
import {
  fixedKey,
  jwkSetLimit,
  KeySet,
  parseJwkSet,
  RemoteKeySet,
  type RemoteKeySetOptions,
  type TokenKeys,
  unknownKey,
} from "./key-set.js";

/** Asymmetric algorithms of RFC 7518 §3.1 and RFC 8037 by the kind of key that they need. */
export const asymmetricAlgorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
] as const;
/** Algorithms with a shared secret. */
export const secretAlgorithms = ["HS256", "HS384", "HS512"] as const;

export type JwtAlgorithm = (typeof asymmetricAlgorithms)[number] | (typeof secretAlgorithms)[number];

/** The source of an issuer's keys: one of `jwks`, `public_key` and `secret`, or else the discovery of `issuer`. */
interface KeyOptions {
  readonly issuer?: string | readonly string[] | undefined;
  readonly jwks?: string | undefined;
  readonly public_key?: string | undefined;
  readonly secret?: string | undefined;
  /** Left out: those with a public key. */
  readonly algorithms?: readonly JwtAlgorithm[] | undefined;
  /** Milliseconds between two fetches of `jwks`. */
  readonly refresh: number;
  /** Least milliseconds between two fetches for unknown keys. */
  readonly cooldown: number;
}

/** The keys that a provider trusts. @throws Error where they are in a file that cannot be used */
export function jwtKeys(name: string, config: KeyOptions, dependencies: AuthDependencies): TokenKeys {
  const report = (level: AuthEvent["level"], message: string): void =>
    dependencies.log({ level, provider: name, message });
  const { jwks, public_key: pem, secret } = config;
  if (secret !== undefined) {
    const bytes = Buffer.from(secret);
    const least = Math.max(...(config.algorithms ?? []).map(algorithm => Number(algorithm.slice(2)) / 8));
    if (bytes.length < least)
      report("warn", `the secret is shorter than the ${least} bytes that RFC 7518 §3.2 requires`);
    return fixedKey(createSecretKey(bytes));
  }
  if (pem !== undefined) return fixedKey(publicKey(pem, config.algorithms ?? []));
  if (jwks !== undefined && Formats.pathOrUrl.isPath?.(jwks)) return fileKeys(jwks, report);
  // Without any of the three, loading has checked that there is one issuer.
  const source = jwks ?? String(config.issuer);
  if (isPlainUrl(source))
    report("warn", "the key set is fetched without TLS; an attacker on the network can replace it");
  const locate =
    jwks === undefined ? (signal: AbortSignal) => discover(source, "jwks_uri", signal) : () => jwks;
  return remoteKeys(name, source, locate, config, dependencies, report);
}

/** The key set in a file. @throws Error that names the file */
export function readJwkSetFile(file: string) {
  let text: string;
  try {
    if (statSync(file).size > jwkSetLimit) throw new Error(`is larger than ${jwkSetLimit} bytes`);
    text = readFileSync(file).toString();
  } catch (error) {
    throw new Error(
      `"${file}" ${error instanceof Error && !("code" in error) ? error.message : fileProblem(error)}`,
    );
  }
  try {
    return parseJwkSet(text);
  } catch (error) {
    throw new Error(`"${file}" ${errorMessage(error)}`);
  }
}

type Report = (level: AuthEvent["level"], message: string) => void;

function fileKeys(file: string, report: Report): TokenKeys {
  const keys = new KeySet();
  const watched = watchedFile(
    file,
    () => keys.replace(readJwkSetFile(file)),
    problem => {
      if (problem === undefined) report("info", "the key set has been read again");
      else report("warn", `${errorMessage(problem)}; keeping the previous keys`);
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
  source: string,
  locate: RemoteKeySetOptions["locate"],
  { refresh, cooldown }: KeyOptions,
  { metrics }: AuthDependencies,
  report: Report,
): TokenKeys {
  const counters = metrics.refreshes(name);
  let failing = false;
  const keys: RemoteKeySet = new RemoteKeySet({
    locate,
    refresh,
    cooldown,
    clock: () => performance.now(),
    fetched: error => {
      counters[error === undefined ? "success" : "failure"].inc();
      if (error !== undefined)
        report("warn", notFetched(source, errorMessage(error), keys.fetchedAt !== undefined));
      else if (failing) report("info", "the key set can be fetched again");
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

function notFetched(source: string, reason: string, before: boolean): string {
  if (before) return `the key set ${reason}; the last good one stays`;
  return `no key set from ${redactUrl(source)} yet: ${reason}; tokens are refused with 503`;
}

const curves: Readonly<Record<string, JwtAlgorithm>> = {
  prime256v1: "ES256",
  secp384r1: "ES384",
  secp521r1: "ES512",
};

/**
 * A public key, or that of a certificate.
 * @param value PEM, or the path of a PEM file
 * @throws Error where there is none, where it is a private one, or where one of the algorithms cannot use it
 */
export function publicKey(value: string, algorithms: readonly JwtAlgorithm[]): KeyObject {
  const isFile = Formats.pathOrPem.isPath?.(value) === true;
  const key = keyOf(isFile ? read(value) : value, isFile ? `"${value}"` : "the text");
  for (const algorithm of algorithms) {
    const found = kindOf(key);
    if (!fits(key, algorithm)) throw new Error(`${algorithm} cannot use this key, which is ${found}`);
  }
  return key;
}

function read(file: string): string {
  try {
    return readFileSync(file).toString();
  } catch (error) {
    throw new Error(`"${file}" ${fileProblem(error)}`);
  }
}

function keyOf(pem: string, name: string): KeyObject {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    throw new Error(`${name} holds a private key; expected the public one, which is all that is needed here`);
  }
  try {
    if (pem.includes("-----BEGIN CERTIFICATE-----")) return new X509Certificate(pem).publicKey;
    return createPublicKey(pem);
  } catch {
    throw new Error(`${name} is not a PEM public key or certificate`);
  }
}

function kindOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string {
  const bits = details?.modulusLength ?? 0;
  if (type === "rsa") return `RSA with ${bits} bits${bits < 2048 ? "; at least 2048 are needed" : ""}`;
  return type === "ec" ? `of the curve ${details?.namedCurve}` : String(type);
}

function fits(
  { asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject,
  algorithm: JwtAlgorithm,
): boolean {
  if (/^[RP]S/.test(algorithm)) return type === "rsa" && (details?.modulusLength ?? 0) >= 2048;
  if (algorithm.startsWith("ES")) return type === "ec" && curves[details?.namedCurve ?? ""] === algorithm;
  return (algorithm === "EdDSA" || algorithm === "Ed25519") && type === "ed25519";
}
