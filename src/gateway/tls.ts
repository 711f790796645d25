import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { Diagnostic } from "../config/diagnostic.js";
import { formatPath, type Path } from "../config/path.js";
import type { UsableConfig } from "./compile.js";

interface Files {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Every certificate, key and authority of a configuration that cannot be used, each at its place. */
export function tlsProblems({ config, locate }: UsableConfig): Diagnostic[] {
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
  for (const [name, upstream] of Object.entries(config.upstreams))
    look(["upstreams", name, "tls"], upstream.tls);
  return problems;
}

function problemOf({ ca, cert, key }: Files): string | undefined {
  try {
    // A secure context passes over what is no certificate, and then trusts nobody.
    if (ca !== undefined) new X509Certificate(readFileSync(ca));
  } catch (error) {
    return `"${ca}" is not a PEM certificate: ${reasonOf(error)}`;
  }
  try {
    if (cert !== undefined && key !== undefined) {
      createSecureContext({ cert: readFileSync(cert), key: readFileSync(key) });
    }
  } catch (error) {
    return `"${cert}" and "${key}" are not a PEM certificate and its key: ${reasonOf(error)}`;
  }
  return undefined;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
