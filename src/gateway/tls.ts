import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { Diagnostic } from "../config/diagnostic.js";
import { formatPath, type Path } from "../config/diagnostic.js";
import { errorMessage } from "../net/error-text.js";
import { readFileSync } from "../net/files.js";
import type { ServerCertificate, ServerTls } from "../net/server-tls.js";
import { certificatesOf, type HttpListenerConfig, httpListenersOf } from "../server/config.js";
import { alternativeNames } from "../server/node/client-certificate.js";
import type { GatewayConfig, LoadedGatewayConfig } from "./config.js";

/** A listener whose `tls` may be a list, and where the configuration has it. */
export interface TlsListener {
  readonly name: string;
  readonly at: Path;
  readonly address: string;
  readonly tls: HttpListenerConfig["tls"];
  /** Of clients, where it is not next to the certificate. */
  readonly clientCa: string | undefined;
}

export function tlsListenersOf({ listeners }: GatewayConfig): TlsListener[] {
  const { http, realtime, admin } = listeners;
  const plain = (name: string, { address, tls }: NonNullable<typeof realtime>): TlsListener => ({
    name,
    at: ["listeners", name],
    address,
    tls: tls as HttpListenerConfig["tls"],
    clientCa: undefined,
  });
  return [
    ...httpListenersOf(http).map(({ name, at, listener: { address, tls } }) => ({
      name,
      at,
      address,
      tls,
      clientCa: undefined,
    })),
    ...(realtime === undefined ? [] : [plain("realtime", realtime)]),
    { ...plain("admin", admin), clientCa: admin.client_ca },
  ];
}

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
  for (const listener of tlsListenersOf(config)) {
    const certificates = certificatesOf(listener.tls);
    for (const [index, files] of certificates.entries()) look(certificatePath(listener, index), files);
    if (problems.length > 0) continue;
    const owners = new Map<string, number>();
    certificates.forEach(({ cert }, index) => {
      if (certificates.length > 1) add(certificatePath(listener, index), nameProblem(cert, index, owners));
    });
    const { clientCa, at } = listener;
    const [first] = certificates;
    if (first?.client_ca !== undefined)
      look([...certificatePath(listener, 0), "client_ca"], { ca: first.client_ca });
    if (clientCa !== undefined) look([...at, "client_ca"], { ca: clientCa });
  }
  look(["realtime", "api", "tls"], config.realtime?.api?.tls);
  const broker = config.realtime?.broker;
  if (broker !== undefined && "tls" in broker) look(["realtime", "broker", "tls"], broker.tls);
  for (const [name, upstream] of Object.entries(config.upstreams))
    look(["upstreams", name, "tls"], upstream.tls);
  return problems;
}

/** Where the configuration has a certificate of a listener. */
export function certificatePath({ at, tls }: Pick<TlsListener, "at" | "tls">, index: number): Path {
  return Array.isArray(tls) ? [...at, "tls", index] : [...at, "tls"];
}

/** @param owners by name, the index of the certificate that has it; gets those of this one */
function nameProblem(file: string, index: number, owners: Map<string, number>): string | undefined {
  const names = dnsNames(readFileSync(file));
  if (names.length === 0 && index > 0)
    return `"${file}" has no DNS name (subjectAltName) by which clients could select it`;
  for (const name of names) {
    const owner = owners.get(name);
    if (owner !== undefined && owner !== index)
      return `${name} is in tls[${owner}], too; expected each name in one certificate`;
    owners.set(name, index);
  }
  return undefined;
}

/** The DNS names of a certificate, in lower case. */
function dnsNames(cert: Buffer): string[] {
  const { subjectAltName = "" } = new X509Certificate(cert);
  return alternativeNames(subjectAltName)
    .filter(name => name.startsWith("DNS:"))
    .map(name => name.slice("DNS:".length).toLowerCase());
}

function problemOf({ ca, cert, key }: Files): string | undefined {
  // A secure context ignores a CA file without certificates, and then trusts no authority.
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
    return `"${cert}" and "${key}" cannot be used: ${errorMessage(error)}`;
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
 * The TLS options of a listener; undefined without TLS. The files were checked when loading.
 * @throws the system's error where they can be read no longer
 */
export function listenerTlsOf({
  tls,
  clientCa,
}: Pick<TlsListener, "tls" | "clientCa">): ServerTls | undefined {
  const [first, ...others] = certificatesOf(tls);
  if (first === undefined) return undefined;
  const ca = first.client_ca ?? clientCa;
  const required = first.client_auth === "require";
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
