import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { Diagnostic } from "../config/diagnostic.js";
import { formatPath, type Path } from "../config/diagnostic.js";
import type { ServerTls } from "../net/server-tls.js";
import type { UpstreamConfig } from "../upstream/config.js";
import type { GatewayConfig, ListenersConfig, LoadedGatewayConfig } from "./config.js";

interface Files {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Every certificate, key and authority of a configuration that cannot be used, each at its position. */
export function tlsProblems(config: GatewayConfig, locate: LoadedGatewayConfig["locate"]): Diagnostic[] {
  const problems: Diagnostic[] = [];
  const look = (path: Path, files: Files | true | undefined): void => {
    if (files === undefined || files === true) return;
    const message = problemOf(files);
    if (message === undefined) return;
    problems.push({ severity: "error", message, position: locate(path), path: formatPath(path) });
  };
  for (const name of ["http", "realtime", "admin"] as const) {
    look(["listeners", name, "tls"], config.listeners[name]?.tls);
  }
  look(["realtime", "api", "tls"], config.realtime?.api?.tls);
  const ca = config.listeners.http.tls?.client_ca;
  if (ca !== undefined) look(["listeners", "http", "tls", "client_ca"], { ca });
  const adminCa = config.listeners.admin.client_ca;
  if (adminCa !== undefined) look(["listeners", "admin", "client_ca"], { ca: adminCa });
  for (const [name, upstream] of Object.entries(config.upstreams))
    look(["upstreams", name, "tls"], upstream.tls);
  return problems;
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

type ServerTlsConfig = NonNullable<NonNullable<ListenersConfig[keyof ListenersConfig]>["tls"]>;

/** What a listener shows and asks of its clients. Loading has tried the files. */
export function readServerTls(tls: ServerTlsConfig): ServerTls {
  const clientCa = "client_ca" in tls ? tls.client_ca : undefined;
  return {
    certFile: tls.cert,
    keyFile: tls.key,
    cert: readFileSync(tls.cert),
    key: readFileSync(tls.key),
    ...(clientCa !== undefined && {
      client: {
        ca: readFileSync(clientCa),
        required: "client_auth" in tls && tls.client_auth === "require",
      },
    }),
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
