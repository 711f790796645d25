import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Draft } from "./draft.js";
import type { Findings } from "./findings.js";
import type { Path } from "./path.js";

/** Warns of certificates whose time is over; what is no certificate is found elsewhere. */
export function checkCertificates({ listeners, realtime, upstreams }: Draft, findings: Findings): void {
  for (const name of ["http", "realtime", "admin"] as const) {
    checkTime(["listeners", name, "tls", "cert"], listeners?.[name]?.tls?.cert, findings);
  }
  checkTime(["realtime", "api", "tls", "cert"], realtime?.api?.tls?.cert, findings);
  for (const [name, upstream] of Object.entries(upstreams ?? {})) {
    const tls = upstream?.tls;
    if (tls !== undefined && tls !== true) {
      checkTime(["upstreams", name, "tls", "cert"], tls.cert, findings);
    }
  }
}

function checkTime(at: Path, file: string | undefined, findings: Findings): void {
  const end = file === undefined ? undefined : endOf(file);
  if (end === undefined || end >= Date.now()) return;
  const day = new Date(end).toISOString().slice(0, 10);
  findings.warning(at, `the certificate expired on ${day}`);
}

function endOf(file: string): number | undefined {
  try {
    const end = Date.parse(new X509Certificate(readFileSync(file)).validTo);
    return Number.isNaN(end) ? undefined : end;
  } catch {
    return undefined;
  }
}
