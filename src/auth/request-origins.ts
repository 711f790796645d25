import { isHostHeader, trustedHost, trustedScheme } from "../net/forwarded-list.js";
import { gatewayError } from "../status/failure.js";

/** The headers that show which page, if any, has sent a request. */
export interface OriginRequest {
  /** Upper case. */
  readonly method: string;
  readonly encrypted: boolean;
  /** The value of a header by lower-case name, several lines joined by `, `; undefined where absent. */
  header(name: string): string | undefined;
}

/** True for origins that a list names, exactly or by `https://*.example.com`; `*` and `null` name none in particular. */
export function originMatcher(origins: readonly string[]): (origin: string) => boolean {
  const exact = new Set(origins.filter(origin => origin !== "*" && origin !== "null"));
  const families = origins.filter(origin => origin.includes("://*.")).map(familyOf);
  return origin => exact.has(origin) || families.some(holds => holds(origin));
}

/** `https://*.example.com` holds every origin of that scheme and port whose host ends with `.example.com`. */
function familyOf(pattern: string): (origin: string) => boolean {
  const [head = "", tail = ""] = pattern.split("*");
  return origin =>
    origin.length > head.length + tail.length &&
    origin.startsWith(head) &&
    origin.endsWith(tail) &&
    labels.test(origin.slice(head.length, -tail.length));
}

const labels = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/**
 * Which pages may act for their users. Browsers add cookies and client certificates to the requests of any page,
 * and name the page in `Origin` and `Sec-Fetch-Site`; other clients send neither, and act for themselves.
 */
export class RequestOrigins {
  readonly #listed: (origin: string) => boolean;
  readonly #any: boolean;
  readonly #none: boolean;

  /**
   * @param origins such as `https://app.example.com`, `https://*.example.com`, or `*`, which lets any page call, but for
   *   only itself
   * @param trustedHops how many proxies in front are trusted about the requested host and scheme
   */
  constructor(
    origins: readonly string[],
    readonly trustedHops: number,
  ) {
    this.#listed = originMatcher(origins);
    this.#any = origins.includes("*");
    this.#none = origins.length === 0;
  }

  /**
   * Whether the Cookie header counts: where the page is of the gateway's own origin or of a listed one. Without Origin,
   * where no page of another site has caused the request, or it is a link that a user has followed.
   */
  cookiesCount(request: OriginRequest): boolean {
    const origin = request.header("origin");
    if (origin !== undefined) return this.#trusts(origin, request);
    const site = request.header("sec-fetch-site");
    if (site === undefined || site === "same-origin" || site === "none") return true;
    return (
      (request.method === "GET" || request.method === "HEAD") &&
      request.header("sec-fetch-mode") === "navigate" &&
      request.header("sec-fetch-dest") === "document"
    );
  }

  /** The Cookie header, where it counts. */
  cookies(request: OriginRequest): string | undefined {
    const cookies = request.header("cookie");
    return cookies !== undefined && this.cookiesCount(request) ? cookies : undefined;
  }

  /**
   * For a body without Content-Type, which a page can send without a preflight, and with the credentials that the
   * browser adds.
   * @throws GatewayError ORIGIN_NOT_ALLOWED
   */
  requireForBody(request: OriginRequest): void {
    const origin = request.header("origin");
    if (origin === undefined || this.#trusts(origin, request)) return;
    const message = "a page of another origin must say what it sends; expected a content-type";
    throw gatewayError("ORIGIN_NOT_ALLOWED", message);
  }

  /**
   * For a WebSocket, which a page may open without a preflight. Without a list only pages of the own origin may.
   * @throws GatewayError ORIGIN_NOT_ALLOWED
   */
  requireForSocket(request: OriginRequest): void {
    const origin = request.header("origin");
    if (origin === undefined || this.#any) return;
    if (this.#none ? this.#isOwn(origin, request) : this.#listed(origin)) return;
    const message = "pages of this origin may not open a WebSocket here";
    throw gatewayError("ORIGIN_NOT_ALLOWED", message);
  }

  #trusts(origin: string, request: OriginRequest): boolean {
    return this.#listed(origin) || this.#isOwn(origin, request);
  }

  /** Whether the page is of the requested host. Over TLS pages count only where they came by TLS, too. */
  #isOwn(origin: string, request: OriginRequest): boolean {
    const hops = this.trustedHops;
    const host = trustedHost(request.header("x-forwarded-host"), hops) ?? request.header("host") ?? "";
    if (host === "" || !isHostHeader(host) || !URL.canParse(origin)) return false;
    const page = new URL(origin);
    if (page.origin !== origin) return false;
    const scheme =
      trustedScheme(request.header("x-forwarded-proto"), hops) ?? (request.encrypted ? "https" : "http");
    // Without x-forwarded-proto TLS may still end in front, so that a page loaded by TLS counts as of the own origin.
    if (page.protocol !== "https:" && page.protocol !== `${scheme}:`) return false;
    const requestedOrigin = `${page.protocol}//${host}`;
    return URL.canParse(requestedOrigin) && new URL(requestedOrigin).host === page.host;
  }
}

/** The last header that was a host: most requests have the same. */
let lastHost: string | undefined;

/**
 * @param host the Host header; undefined where there is none, as HTTP/1.0 allows
 * @throws GatewayError INVALID_HEADER where it is no host (RFC 9110 §7.2)
 */
export function requireHost(host: string | undefined): void {
  if (host === undefined || host === lastHost) return;
  if (!isHostHeader(host))
    throw gatewayError("INVALID_HEADER", "the Host header is not a valid host; expected name or name:port");
  lastHost = host;
}
