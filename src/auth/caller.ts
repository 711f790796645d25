import type { Span } from "../telemetry/tracing/span.js";

/** A request or an upgrade as providers, policies and limits see it, before any body is read. */
export interface Caller {
  /** Address of the client, as the trusted proxies report it. */
  readonly clientAddress: string;
  /** Of HTTP; `GET` of a WebSocket. */
  readonly method: string;
  /** Raw, without the query. */
  readonly path: string;
  /** Raw, without `?`. */
  readonly query: string;
  readonly encrypted: boolean;
  /** Of the guard; undefined where the trace is not recorded. */
  readonly span?: Span | undefined;
  /** The value of a header by lower-case name, several lines joined by `, `; undefined where absent. */
  header(name: string): string | undefined;
  /** The Cookie header, unless a page has sent it that may not act for its user (`RequestOrigins`). */
  cookies(): string | undefined;
  /** The verified certificate of the client; undefined where the listener did not verify one. */
  certificate(): ClientCertificate | undefined;
}

/**
 * The headers of those names that a request has, for a service that decides about it. Those with other characters than
 * printable ASCII are left out: metadata cannot carry them, and two peers could read them in two ways.
 */
export function shownHeaders(caller: Caller, names: readonly string[]): [name: string, value: string][] {
  const shown: [string, string][] = [];
  for (const name of names) {
    const value = name === "cookie" ? caller.cookies() : caller.header(name);
    if (value !== undefined && /^[\x20-\x7e]*$/.test(value)) shown.push([name, value]);
  }
  return shown;
}

/** A client certificate that the listener has verified. */
export interface ClientCertificate {
  /** Distinguished name in the form of RFC 4514. */
  readonly subject: string;
  readonly commonName: string | undefined;
  /** Subject alternative names with their type: `DNS:a.example`, `URI:spiffe://td/x`, `email:a@b.example`. */
  readonly names: readonly string[];
  /** SHA-256 of the certificate, lower-case hexadecimal without separators. */
  readonly fingerprint: string;
}
