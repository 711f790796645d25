import type { Caller } from "./caller.js";
import type { SecurityScheme } from "./provider.js";

/** Where a credential is read from; each absent where it is not used. */
export interface Placement {
  /** Lower case. */
  readonly header?: string | undefined;
  /** The scheme before it in the header. */
  readonly scheme?: string | undefined;
  readonly cookie?: string | undefined;
  readonly query?: string | undefined;
}

/** Credentials that are present but cannot be used: two of them, or one that cannot be read. */
export const AMBIGUOUS = Symbol("ambiguous credentials");

/** Finds the credential of a request; undefined where it has none. */
export type CredentialReader = (caller: Caller) => string | typeof AMBIGUOUS | undefined;

/** Longest credential that is looked at, in characters. */
export const maxCredentialLength = 8192;

/** Characters that a header, a cookie and a URL can carry: visible ASCII without the comma, which joins headers. */
const credentialPattern = /^[\x21-\x2b\x2d-\x7e]+$/;

/** Whether text may be a credential at all; readers do not look. */
export function isCredential(text: string): boolean {
  return text.length <= maxCredentialLength && credentialPattern.test(text);
}

/** The placement with its defaults: `header` where none is configured, after `Bearer` in `authorization`. */
export function placementOf(configured: Placement, header: string): Placement {
  const { cookie, query } = configured;
  const unset = configured.header === undefined && cookie === undefined && query === undefined;
  const name = unset ? header : configured.header;
  const scheme = configured.scheme ?? (name === "authorization" ? "Bearer" : undefined);
  return { header: name, scheme: name === undefined ? undefined : scheme, cookie, query };
}

/** The ways in which a placement lets callers show their credential. */
export function describePlacement(
  { header, scheme, cookie, query }: Placement,
  description: string,
  bearerFormat?: string,
): readonly SecurityScheme[] {
  const schemes: SecurityScheme[] = [];
  if (header === "authorization" && scheme !== undefined) {
    const format = bearerFormat === undefined || !/^bearer$/i.test(scheme) ? {} : { bearerFormat };
    schemes.push({ type: "http", scheme: scheme.toLowerCase(), ...format, description });
  } else if (header !== undefined) {
    const word = scheme === undefined ? "" : ` It follows the word ${scheme} and a space.`;
    schemes.push({ type: "apiKey", in: "header", name: header, description: `${description}${word}` });
  }
  if (cookie !== undefined) schemes.push({ type: "apiKey", in: "cookie", name: cookie, description });
  if (query !== undefined) schemes.push({ type: "apiKey", in: "query", name: query, description });
  return schemes;
}

/** A request with credentials in two positions of the placement at once has ambiguous ones (RFC 6750 §2). */
export function credentialReader({ header, scheme, cookie, query }: Placement): CredentialReader {
  const readers: CredentialReader[] = [];
  if (header !== undefined)
    readers.push(scheme === undefined ? plainReader(header) : schemeReader(header, scheme));
  if (cookie !== undefined) readers.push(caller => cookieValue(caller.cookies() ?? "", cookie));
  if (query !== undefined) readers.push(caller => queryValue(caller.query, query));
  const [only] = readers;
  if (only !== undefined && readers.length === 1) return only;
  return caller => {
    let found: string | typeof AMBIGUOUS | undefined;
    for (const reader of readers) {
      const credential = reader(caller);
      if (credential === undefined) continue;
      if (found !== undefined) return AMBIGUOUS;
      found = credential;
    }
    return found;
  };
}

function plainReader(header: string): CredentialReader {
  return caller => caller.header(header) || undefined;
}

/** RFC 9110 §11.4: the scheme in any case, spaces, the credential. Credentials of another scheme are ignored. */
function schemeReader(header: string, scheme: string): CredentialReader {
  const expected = scheme.toLowerCase();
  const { length } = expected;
  return caller => {
    const value = caller.header(header);
    if (value === undefined || value.charCodeAt(length) !== 0x20) return undefined;
    // Mostly it is written as it is configured.
    if (!value.startsWith(scheme) && value.slice(0, length).toLowerCase() !== expected) return undefined;
    const credential = value.slice(length + 1);
    return (credential.charCodeAt(0) === 0x20 ? credential.trimStart() : credential) || undefined;
  };
}

/** RFC 6265 §4.2.1, with the quotes of §4.1.1 taken off. */
export function cookieValue(header: string, name: string): string | typeof AMBIGUOUS | undefined {
  let found: string | undefined;
  for (const pair of header.split(";")) {
    const equals = pair.indexOf("=");
    if (equals < 0 || pair.slice(0, equals).trim() !== name) continue;
    if (found !== undefined) return AMBIGUOUS;
    found = pair.slice(equals + 1).trim();
  }
  if (found?.startsWith('"') && found.endsWith('"') && found.length > 1) found = found.slice(1, -1);
  return found || undefined;
}

/** A parameter of a query as forms write it: percent-encoded UTF-8, `+` for a space. */
export function queryValue(query: string, name: string): string | typeof AMBIGUOUS | undefined {
  let found: string | undefined;
  for (const pair of query.split("&")) {
    const equals = pair.indexOf("=");
    const key = decoded(equals < 0 ? pair : pair.slice(0, equals));
    if (key !== name) continue;
    if (found !== undefined) return AMBIGUOUS;
    found = equals < 0 ? "" : decoded(pair.slice(equals + 1));
    if (found === undefined) return AMBIGUOUS;
  }
  return found || undefined;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}
