import { type Address, parseAddress } from "./address.js";
import type { Draft } from "./draft.js";
import { checkPath } from "./file-check.js";
import type { Findings } from "./findings.js";

export function checkListeners({ listeners }: Draft, findings: Findings): void {
  for (const name of ["http", "admin"] as const) {
    const tls = listeners?.[name]?.tls;
    for (const key of ["cert", "key"] as const) {
      checkPath(["listeners", name, "tls", key], tls?.[key], "file", findings);
    }
  }
  checkClientAuthority(listeners, findings);
  const http = parseAddress(listeners?.http?.address ?? "");
  const adminText = listeners?.admin?.address ?? "";
  const admin = parseAddress(adminText);
  if (http === undefined || admin === undefined || !overlap(http, admin)) return;
  const at = ["listeners", "admin", "address"];
  findings.error(
    at,
    `listeners.http has that port already; expected another, found ${findings.show(at, adminText)}`,
  );
}

function checkClientAuthority(listeners: Draft["listeners"], findings: Findings): void {
  const authority = listeners?.http?.tls?.client_ca;
  const at = ["listeners", "http", "tls", "client_ca"];
  checkPath(at, authority, "file", findings);
  if (listeners?.http?.tls?.client_auth !== undefined && !("client_ca" in listeners.http.tls)) {
    const missing = '"client_auth" without "client_ca"; expected the authorities that may certify clients';
    findings.error(["listeners", "http", "tls", "client_auth"], missing);
  }
  if (authority === undefined || listeners?.http?.engine !== "uws") return;
  findings.error(at, "client certificates need the engine fastify; uws cannot tell what a client has proved");
}

/** True where the second of the two could not be bound. */
export function overlap(a: Address, b: Address): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  return a.host.toLowerCase() === b.host.toLowerCase() || isEvery(a.host) || isEvery(b.host);
}

/** A host that stands for all interfaces of the machine. */
function isEvery(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}
