import { METHODS } from "node:http";
import type { FieldSink } from "../../h2/hpack-decoder.js";
import { fieldType, HeaderField, isLegalName } from "../../h2/hpack-table.js";
import type { Reason } from "../../status/reasons.js";

/** The meaning of a header field of a request for a server. */
const FieldKind = {
  Regular: 0,
  /** RFC 9113 §8.2 or §8.3 forbids it, or HTTP (RFC 9110 §5). */
  Malformed: 1,
  Method: 2,
  Scheme: 3,
  Path: 4,
  Authority: 5,
  Host: 6,
  ContentLength: 7,
} as const;

type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

const methods: ReadonlySet<string> = new Set(METHODS);
const token = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/;
const visible = /^[\x21-\x7e]+$/;

const special: ReadonlyMap<string, readonly [kind: FieldKind, value: RegExp]> = new Map([
  [":method", [FieldKind.Method, token]],
  [":scheme", [FieldKind.Scheme, /^[A-Za-z][\dA-Za-z+.-]*$/]],
  [":path", [FieldKind.Path, visible]],
  [":authority", [FieldKind.Authority, /^[\x21-\x7e]*$/]],
  ["host", [FieldKind.Host, /^/]],
  ["content-length", [FieldKind.ContentLength, /^\d{1,15}$/]],
  // RFC 9113 §8.2.2
  ["te", [FieldKind.Regular, /^trailers$/i]],
]);

/** What a header may have as its value (RFC 9110 §5.5, which is more than HTTP/2 forbids), without blanks around it. */
const legalValue = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;

/** Names of regular fields that were found legal; those that clients make up must not pile up. */
const legalNames = new Set<string>();
const maxLegalNames = 1024;

function kindOf(name: string, value: string): FieldKind {
  if (!legalValue.test(value)) return FieldKind.Malformed;
  if (legalNames.has(name)) return FieldKind.Regular;
  const found = special.get(name);
  if (found !== undefined) return found[1].test(value) ? found[0] : FieldKind.Malformed;
  if (!isLegalName(name) || !token.test(name)) return FieldKind.Malformed;
  if (legalNames.size >= maxLegalNames) legalNames.clear();
  if (name.length <= 64) legalNames.add(name);
  return FieldKind.Regular;
}

/** One field of a request, checked once, however often it comes from the dynamic table. */
export class RequestField extends HeaderField {
  readonly kind: FieldKind;

  constructor(name: string, value: string) {
    super(name, value);
    this.kind = kindOf(name, value);
  }
}

export const requestFields = fieldType((name, value) => new RequestField(name, value));

/** How much of a request head is kept. */
export interface HeadLimits {
  /** Bytes of names and values of headers together. */
  readonly headerLimit: number;
  /** Bytes of all fields, pseudo-header fields among them, as RFC 9113 §6.5.2 counts them. */
  readonly listLimit: number;
}

/** One header block of a request: its head, or its trailers. */
export class HeaderBlock implements FieldSink<RequestField> {
  /** Empty where there is none. */
  method = "";
  /** The target as it came. */
  path = "";
  #scheme = "";
  /** Value of `:authority`, or of `host` where there is no other; undefined where both are missing or empty. */
  host: string | undefined;
  contentLength: number | undefined;
  /** Describes the error (RFC 9113 §8.1.1); undefined where there is none. */
  malformed: string | undefined;
  tooLarge = false;
  readonly #limits: HeadLimits;
  readonly #fields: RequestField[] = [];
  #size = 0;
  #listSize = 0;
  #regular = false;
  #authority = false;
  #hosts = 0;
  /** A bit for each length of a name, modulo 32: most looked-up names are absent, and no field has to be compared. */
  #lengthsOfNames = 0;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
  }

  field(field: RequestField): void {
    const { name, value, kind } = field;
    this.#listSize += field.size;
    if (this.#listSize > this.#limits.listLimit) this.tooLarge = true;
    if (this.tooLarge) return;
    if (kind >= FieldKind.Method && kind <= FieldKind.Authority) {
      this.#pseudo(kind, value);
      return;
    }
    this.#regular = true;
    this.#size += name.length + value.length;
    if (this.#size > this.#limits.headerLimit) {
      this.tooLarge = true;
      return;
    }
    switch (kind) {
      case FieldKind.Malformed:
        this.malformed ??= `the header field ${JSON.stringify(name.slice(0, 64))} is not allowed`;
        return;
      case FieldKind.Host:
        this.#setHost(value);
        return;
      case FieldKind.ContentLength:
        if (this.contentLength !== undefined) this.malformed ??= "more than one content-length";
        this.contentLength = Number(value);
    }
    this.#fields.push(field);
    this.#lengthsOfNames |= 1 << name.length;
  }

  /** The value of a header by lower-case name, several lines joined; the authority as `host`. */
  header(name: string): string | undefined {
    if (name === "host") return this.host;
    if ((this.#lengthsOfNames & (1 << name.length)) === 0) return undefined;
    let value: string | undefined;
    for (const field of this.#fields) if (field.name === name) value = joined(name, value, field.value);
    return value;
  }

  headers(): Record<string, string> {
    const all = new Map<string, string>();
    if (this.host !== undefined) all.set("host", this.host);
    for (const { name, value } of this.#fields) all.set(name, joined(name, all.get(name), value));
    return Object.fromEntries(all);
  }

  /** The error of the block as the head of a request; undefined where there is none. @param end no body follows */
  fault(end: boolean): string | undefined {
    if (this.malformed !== undefined) return this.malformed;
    // Its fields have not all been looked at.
    if (this.tooLarge) return undefined;
    if (end && (this.contentLength ?? 0) > 0) return "content-length of a request that has no content";
    if (this.method === "CONNECT")
      return this.path === "" && this.#scheme === "" && this.#authority
        ? undefined
        : "CONNECT takes :authority alone (RFC 9113 §8.5)";
    if (this.method === "" || this.#scheme === "" || this.path === "")
      return "a request without :method, :scheme or :path";
    if (!this.path.startsWith("/") && !(this.path === "*" && this.method === "OPTIONS"))
      return ":path does not begin with /";
    return undefined;
  }

  /** How a well-formed request is refused before it is handled; undefined where it is not refused. */
  refusal(): readonly [reason: Reason, message: string] | undefined {
    if (this.tooLarge)
      return ["HEADERS_TOO_LARGE", `request headers are limited to ${this.#limits.headerLimit} bytes`];
    if (this.host === undefined) return ["MALFORMED_REQUEST", "expected :authority or host"];
    if (this.method === "CONNECT")
      return ["METHOD_NOT_ALLOWED", "the gateway is no tunnel (RFC 9110 §9.3.6)"];
    return methods.has(this.method) ? undefined : ["MALFORMED_REQUEST", "the method is not one of HTTP"];
  }

  /** The error of the block as trailers, which are not kept. */
  get trailersFault(): string | undefined {
    if (this.malformed !== undefined) return this.malformed;
    return this.method + this.path + this.#scheme !== "" || this.#authority
      ? "a pseudo-header among the trailers"
      : undefined;
  }

  #pseudo(kind: FieldKind, value: string): void {
    if (this.#regular) this.malformed ??= "a pseudo-header comes after other header fields";
    switch (kind) {
      case FieldKind.Method:
        if (this.method !== "") this.malformed ??= "more than one :method";
        this.method = value;
        break;
      case FieldKind.Scheme:
        if (this.#scheme !== "") this.malformed ??= "more than one :scheme";
        this.#scheme = value;
        break;
      case FieldKind.Path:
        if (this.path !== "") this.malformed ??= "more than one :path";
        this.path = value;
        break;
      case FieldKind.Authority:
        if (this.#authority) this.malformed ??= "more than one :authority";
        this.#authority = true;
        if (value !== "") this.host = value;
    }
  }

  /** RFC 9113 §8.3.1: of two authorities neither is certain. */
  #setHost(value: string): void {
    if (this.#hosts++ > 0) this.malformed ??= "more than one host";
    if (this.host === undefined) this.host = value;
    else if (this.host.toLowerCase() !== value.toLowerCase())
      this.malformed ??= "host differs from :authority";
  }
}

function joined(name: string, before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}${name === "cookie" ? ";" : ","} ${value}`;
}
