import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { Diagnostic } from "../config/diagnostic.js";
import { formatPath, type Path } from "../config/diagnostic.js";
import type { ServerCertificate, ServerTls } from "../net/server-tls.js";
import { certificatesOf } from "../server/config.js";
import { alternativeNames } from "../server/node/client-certificate.js";
import type { UpstreamConfig } from "../upstream/config.js";
import type { GatewayConfig, LoadedGatewayConfig } from "./config.js";

/** The listeners whose `tls` may be a list. */
export const listenerNames = ["http", "realtime", "admin"] as const;
export type ListenerName = (typeof listenerNames)[number];

interface Files {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Every certificate, key and authority of a configuration that cannot be used, each at its position. */
export function tlsProblems(config: GatewayConfig, locate: LoadedGatewayConfig["locate"]): Diagnostic[] {
  const problems: Diagnostic[] = [];
  const add = (path: Path, message: string | undefined): void => {
    if (message === undefined) return;
    problems.push({ severity: "error", message, position: locate(path), path: formatPath(path) });
  };
  const look = (path: Path, files: Files | true | undefined): void => {
    if (files !== undefined && files !== true) add(path, problemOf(files));
  };
  for (const name of listenerNames) {
    const tls = config.listeners[name]?.tls;
    const certificates = certificatesOf(tls);
    for (const [index, files] of certificates.entries()) look(certificatePath(name, tls, index), files);
    if (problems.length > 0) continue;
    const owners = new Map<string, number>();
    certificates.forEach(({ cert }, index) => {
      if (certificates.length > 1) add(certificatePath(name, tls, index), nameProblem(cert, index, owners));
    });
  }
  look(["realtime", "api", "tls"], config.realtime?.api?.tls);
  const { http, admin } = config.listeners;
  const [first] = certificatesOf(http.tls);
  if (first?.client_ca !== undefined)
    look([...certificatePath("http", http.tls, 0), "client_ca"], { ca: first.client_ca });
  if (admin.client_ca !== undefined) look(["listeners", "admin", "client_ca"], { ca: admin.client_ca });
  for (const [name, upstream] of Object.entries(config.upstreams))
    look(["upstreams", name, "tls"], upstream.tls);
  return problems;
}

/** Where the configuration has a certificate of a listener. */
export function certificatePath(listener: ListenerName, tls: unknown, index: number): Path {
  const at = ["listeners", listener, "tls"];
  return Array.isArray(tls) ? [...at, index] : at;
}

/** @param owners by name, the index of the certificate that has it; gets those of this one */
function nameProblem(file: string, index: number, owners: Map<string, number>): string | undefined {
  const names = dnsNames(readFileSync(file));
  if (names.length === 0 && index > 0)
    return `"${file}" has no DNS name (subjectAltName) by which clients could ask for it`;
  for (const name of names) {
    const owner = owners.get(name);
    if (owner !== undefined && owner !== index)
      return `${name} is in tls[${owner}], too; expected each name in one certificate`;
    owners.set(name, index);
  }
  return undefined;
}

/** The names by which clients ask for a certificate, in lower case. */
function dnsNames(cert: Buffer): string[] {
  const { subjectAltName = "" } = new X509Certificate(cert);
  return alternativeNames(subjectAltName)
    .filter(name => name.startsWith("DNS:"))
    .map(name => name.slice("DNS:".length).toLowerCase());
}

function problemOf({ ca, cert, key }: Files): string | undefined {
  // A secure context ignores what is no certificate, and then trusts no authority.
  if (ca !== undefined && certificateIn(ca) === undefined) return noCertificate(ca);
  if (cert === undefined || key === undefined) return undefined;
  try {
    createSecureContext({ cert: readFileSync(cert), key: readFileSync(key) });
    return undefined;
  } catch (error) {
    const certificate = certificateIn(cert);
    if (certificate === undefined) return noCertificate(cert);
    const privateKey = keyIn(key);
    if (privateKey === undefined) return `"${key}" holds no PEM private key`;
    if (!certificate.checkPrivateKey(privateKey)) return "the key does not belong to the certificate";
    return `"${cert}" and "${key}" cannot be used: ${error instanceof Error ? error.message : error}`;
  }
}

function noCertificate(file: string): string {
  return `"${file}" holds no PEM certificate`;
}

function certificateIn(file: string): X509Certificate | undefined {
  try {
    return new X509Certificate(readFileSync(file));
  } catch {
    return undefined;
  }
}

function keyIn(file: string): KeyObject | undefined {
  try {
    return createPrivateKey(readFileSync(file));
  } catch {
    return undefined;
  }
}

/**
 * What a listener shows and asks of its clients; undefined without TLS. Loading has tried the files.
 * @throws the system's error where they can be read no longer
 */
export function listenerTlsOf({ listeners }: GatewayConfig, name: ListenerName): ServerTls | undefined {
  const [first, ...others] = certificatesOf(listeners[name]?.tls);
  if (first === undefined) return undefined;
  const adminCa = name === "admin" ? listeners.admin.client_ca : undefined;
  const ca = "client_ca" in first ? first.client_ca : adminCa;
  const required = "client_auth" in first && first.client_auth === "require";
  return {
    ...readCertificate(first),
    ...(others.length > 0 && { others: others.map(readCertificate) }),
    minVersion: String(first.min_version) === "1.3" ? "TLSv1.3" : "TLSv1.2",
    ...(ca !== undefined && { client: { ca: readFileSync(ca), required } }),
  };
}

export function readCertificate(files: { readonly cert: string; readonly key: string }): ServerCertificate {
  const cert = readFileSync(files.cert);
  return {
    certFile: files.cert,
    keyFile: files.key,
    cert,
    key: readFileSync(files.key),
    names: dnsNames(cert),
  };
}

/** PEM; what is absent is the system's, or not sent. */
export interface ClientTls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  /** The name to verify in place of the target's. */
  readonly serverName?: string;
}

/** What connections to an upstream are made with; undefined without TLS. Loading has tried the files. */
export function readClientTls(tls: UpstreamConfig["tls"]): ClientTls | undefined {
  if (tls === undefined) return undefined;
  if (tls === true) return {};
  return {
    ...(tls.ca === undefined ? {} : { ca: readFileSync(tls.ca) }),
    ...(tls.cert === undefined ? {} : { cert: readFileSync(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: readFileSync(tls.key) }),
    ...(tls.server_name === undefined ? {} : { serverName: tls.server_name }),
  };
}
