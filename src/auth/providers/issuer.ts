import { isPlainUrl } from "../../config/address.js";
import type { Path } from "../../config/diagnostic.js";
import type { Findings } from "../../config/findings.js";
import { errorMessage } from "../../net/error-text.js";
import { endHttpSpan, httpClientSpan } from "../../telemetry/tracing/http-span.js";
import type { Span } from "../../telemetry/tracing/span.js";
import { isRecord } from "../claims.js";

/** Milliseconds for a whole document of an issuer to arrive. */
export const issuerTimeoutMs = 5000;
/** Bytes of a metadata document. */
const metadataLimit = 256 * 1024;

/**
 * Adds an error for a URL with a user name or a password, a warning for plain HTTP to another machine.
 * @param sent the data that goes to that URL
 */
export function checkWebUrl(at: Path, url: string | undefined, sent: string, findings: Findings): void {
  if (url === undefined || !URL.canParse(url)) return;
  const { username, password } = new URL(url);
  if (username + password !== "") findings.error(at, "expected a URL without user name and password");
  else if (isPlainUrl(url)) findings.warning(at, `${sent} are sent without TLS; expected an https URL`);
}

/**
 * Sends a request to a service, within a span where the trace is recorded. Redirects are not followed: they could lead
 * anywhere.
 * @throws Error where there is no connection
 */
export async function tracedFetch(
  url: string,
  init: RequestInit,
  parent: Span | undefined,
): Promise<Response> {
  const withoutRedirects: RequestInit = { ...init, redirect: "manual" };
  const span = httpClientSpan(parent, init.method ?? "GET");
  if (span === undefined) return fetch(url, withoutRedirects);
  span.setAddress(new URL(url).host);
  const headers = new Headers(init.headers);
  for (const [name, value] of span.headers()) headers.set(name, value);
  try {
    const response = await fetch(url, { ...withoutRedirects, headers });
    endHttpSpan(span, response.status);
    return response;
  } catch (error) {
    span.fail("connect");
    span.end();
    throw error;
  }
}

interface TextRequest {
  readonly signal: AbortSignal;
  /** Undefined where the trace is not recorded. */
  readonly parent?: Span | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly method?: "GET" | "POST";
  readonly body?: string;
}

/** A response of an issuer that has another status than 200. */
export class IssuerStatus extends Error {
  override readonly name = "IssuerStatus";
  constructor(readonly status: number) {
    super(`responds with ${status}; expected 200`);
  }
}

/**
 * The body of a 200.
 * @param limit most bytes of the body
 * @throws IssuerStatus for another status; Error where there is no connection, or the body is larger
 */
export async function fetchText(url: string, request: TextRequest, limit: number): Promise<string> {
  const { parent, ...init } = request;
  const response = await tracedFetch(url, init, parent).catch(error => {
    throw new Error(`cannot be fetched: ${errorMessage((error as Error).cause ?? error)}`);
  });
  if (response.status !== 200) {
    void response.body?.cancel().catch(() => undefined);
    throw new IssuerStatus(response.status);
  }
  const body = await bodyOf(response, limit);
  if (body === undefined) throw new Error(`is larger than ${limit} bytes`);
  return body.toString();
}

/** The body of a response; undefined where it is larger than `limit` bytes, and then the rest is not read. */
export async function bodyOf({ body }: Response, limit: number): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.length;
    // Leaving the loop cancels the rest.
    if (size > limit) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** @throws Error where the text is not JSON */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("is not JSON");
  }
}

/**
 * Finds a URL in the metadata of an issuer (OpenID Connect Discovery 1.0 §4, RFC 8414 §3).
 * @param issuer as it calls itself, an http or https URL
 * @throws Error where the metadata cannot be had, is that of another issuer, or lacks the URL
 */
export async function discover(
  issuer: string,
  key: "jwks_uri" | "introspection_endpoint",
  signal: AbortSignal,
  parent?: Span,
): Promise<string> {
  const metadata = parsedMetadata(await metadataText(issuer, signal, parent));
  if (metadata.issuer !== issuer) {
    const found = typeof metadata.issuer === "string" ? JSON.stringify(metadata.issuer) : "nothing";
    throw new Error(`has metadata in which "issuer" is ${found}; expected exactly ${JSON.stringify(issuer)}`);
  }
  const url = metadata[key];
  if (typeof url !== "string" || !URL.canParse(url)) throw new Error(`has metadata without "${key}"`);
  const { protocol } = new URL(url);
  // An attacker that can change plain text must not be able to choose the URL of the keys.
  if (protocol !== "https:" && protocol !== new URL(issuer).protocol)
    throw new Error(`has metadata in which "${key}" is not an https URL`);
  return url;
}

async function metadataText(issuer: string, signal: AbortSignal, parent: Span | undefined): Promise<string> {
  const request = { signal, parent, headers: { accept: "application/json" } };
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, "");
  try {
    return await fetchText(`${origin}${path}/.well-known/openid-configuration`, request, metadataLimit);
  } catch (error) {
    if (!(error instanceof IssuerStatus) || error.status !== 404) throw error;
    return fetchText(`${origin}/.well-known/oauth-authorization-server${path}`, request, metadataLimit);
  }
}

function parsedMetadata(text: string): Readonly<Record<string, unknown>> {
  const metadata = parsedJson(text);
  if (!isRecord(metadata)) throw new Error("has metadata that is no JSON object");
  return metadata;
}
