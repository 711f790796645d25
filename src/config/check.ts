import { X509Certificate } from "node:crypto";
import { readFileSync, requireReadable, statSync } from "../net/files.js";
import { fileProblem, type Path } from "./diagnostic.js";
import type { Findings } from "./findings.js";
import { nearest } from "./nearest.js";

/** How many of the declared names an error lists. */
const maxListedNames = 10;

/**
 * Adds an error where no `kind` of the file has the name.
 * @param kind the kind of the name, such as `upstream`
 * @param name undefined where it had a problem already
 * @param declared the existing names
 * @param further names that are valid beside the declared ones
 */
export function checkReference(
  kind: string,
  at: Path,
  name: string | undefined,
  declared: Readonly<Record<string, unknown>> | undefined,
  findings: Findings,
  further: readonly string[] = [],
): void {
  const names = Object.keys(declared ?? {});
  if (name === undefined || names.includes(name)) return;
  const suggestion = nearest(name, [...names, ...further]);
  const listed = names.length <= maxListedNames ? names : [...names.slice(0, maxListedNames), "..."];
  const known = names.length === 0 ? "none is declared" : `declared are ${listed.join(", ")}`;
  const message = `there is no ${kind} ${findings.show(at, name)}`;
  findings.error(at, suggestion === undefined ? `${message}; ${known}` : message, { suggestion });
}

/** Adds an error unless `file` (absolute; undefined where it had a problem already) is there and readable; `suggestion` goes with it. */
export function checkPath(
  at: Path,
  file: string | undefined,
  expected: "file" | "folder",
  findings: Findings,
  suggestion?: string,
): void {
  const problem = file === undefined ? undefined : pathProblem(file, expected);
  if (file === undefined || problem === undefined) return;
  findings.error(at, `expected a ${expected}, but ${findings.show(at, file)} ${problem}`, { suggestion });
}

function pathProblem(path: string, expected: "file" | "folder"): string | undefined {
  try {
    const stats = statSync(path);
    if (expected === "folder" && !stats.isDirectory()) return "is not a folder";
    if (expected === "file" && !stats.isFile()) return "is not a file";
    requireReadable(path);
    return undefined;
  } catch (error) {
    return fileProblem(error);
  }
}

/** The files of TLS, each undefined where it is not written or had a problem already. */
interface TlsFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** Automatic renewals happen earlier. */
const soonMs = 14 * 86_400_000;

/** Adds an error for each file of `tls` that cannot be read, and a warning where the certificate expires. */
export function checkTlsFiles(at: Path, tls: TlsFiles | undefined, findings: Findings): void {
  if (tls === undefined) return;
  for (const key of ["ca", "cert", "key"] as const) checkPath([...at, key], tls[key], "file", findings);
  const end = tls.cert === undefined ? undefined : expiryOf(tls.cert);
  if (end === undefined || end >= Date.now() + soonMs) return;
  const day = new Date(end).toISOString().slice(0, 10);
  findings.warning([...at, "cert"], `the certificate ${end < Date.now() ? "expired" : "expires"} on ${day}`);
}

/** Milliseconds since 1970; undefined where the file holds no certificate, which loading it reports. */
function expiryOf(file: string): number | undefined {
  try {
    const end = Date.parse(new X509Certificate(readFileSync(file)).validTo);
    return Number.isNaN(end) ? undefined : end;
  } catch {
    return undefined;
  }
}

/**
 * Adds an error for each server that is not given by a URL of one of the schemes.
 * @param url one or several with commas between; undefined where it had a problem already
 * @param schemes with their colons
 * @returns the valid ones
 */
export function checkServerUrls(
  at: Path,
  url: string | undefined,
  schemes: readonly string[],
  findings: Findings,
): URL[] {
  const urls: URL[] = [];
  for (const each of url?.split(",") ?? []) {
    const found = URL.canParse(each.trim()) ? new URL(each.trim()) : undefined;
    if (found !== undefined && schemes.includes(found.protocol) && found.hostname !== "") {
      urls.push(found);
      continue;
    }
    // An address with a password in it would be repeated here.
    const forms = schemes.map(scheme => `${scheme}//host:port`).join(" or ");
    findings.error(at, `expected ${forms}`);
  }
  return urls;
}
