/** Percent-encoding of path text (RFC 3986 section 2.1) over UTF-8. */

const plain = /^[-\w.~]*$/;
const leftByPlatform = /[!'()*]/g;
const encodedSlash = /%2f/gi;
const escapeRun = /(?:%[0-9a-f]{2})+/gi;
const badEscape = /%(?![0-9a-f]{2})/i;

/**
 * Encodes everything but `[-_.~0-9a-zA-Z]`, the set of `google/api/http.proto`.
 * @throws URIError for a lone surrogate
 */
export function encodeText(text: string): string {
  if (plain.test(text)) return text;
  return encodeURIComponent(text).replace(
    leftByPlatform,
    char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Decodes every escape; undefined where an escape is broken or the bytes are not UTF-8. */
export function decodeText(text: string): string | undefined {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Decodes valid text but leaves `%2F` and `%2f` as they are (`google/api/http.proto`, multi-segment variables). */
export function decodeKeepingSlash(text: string): string {
  return decodeURIComponent(text.replace(encodedSlash, slash => `%25${slash.slice(1)}`));
}

/** Describes the error in text that `decodeText` refused, with its index. */
export function describeBadEscape(text: string): { readonly message: string; readonly offset: number } {
  const broken = badEscape.exec(text);
  if (broken !== null) {
    const found = text.slice(broken.index, broken.index + 3);
    return {
      message: `invalid percent-encoding "${found}": expected "%" and two hexadecimal digits`,
      offset: broken.index,
    };
  }
  for (const run of text.matchAll(escapeRun)) {
    if (decodeText(run[0]) === undefined) {
      return { message: "the percent-encoded bytes are not valid UTF-8", offset: run.index };
    }
  }
  return { message: "the percent-encoded bytes are not valid UTF-8", offset: 0 };
}

/**
 * True where decoded text holds a `.` or `..` segment, also behind a decoded slash. Such text is refused in
 * paths: an upstream that resolves it would read another resource than the one the gateway authorized.
 */
export function hasDotSegment(decoded: string): boolean {
  if (!decoded.includes("/")) return decoded === "." || decoded === "..";
  return decoded.split("/").some(part => part === "." || part === "..");
}
