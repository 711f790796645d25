/** A header field. */
export class HeaderField {
  readonly name: string;
  /** One character a byte. */
  readonly value: string;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
  }

  /** Bytes as tables and limits count them (RFC 7541 §4.1). */
  get size(): number {
    return this.name.length + this.value.length + 32;
  }
}

/** Names of HTTP/1.1 that no message of HTTP/2 may have (RFC 9113 §8.2.2). */
const connectionSpecific: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** RFC 9113 §8.2.1: neither upper case nor controls, spaces or bytes beyond ASCII, and no colon. */
const illegalName = /^$|[\0-\x20A-Z\x7f-\xff:]/;
const illegalValue = /[\0\n\r]|^[\t ]|[\t ]$/;

/** False for a name that makes a message malformed, pseudo-header fields among them: which of those are allowed depends on the message. */
export function isLegalName(name: string): boolean {
  return !illegalName.test(name) && !connectionSpecific.has(name);
}

export function isLegalValue(value: string): boolean {
  return !illegalValue.test(value);
}

/**
 * The class that a decoder makes of fields. Fields in the dynamic table occur again and again: a class of its own lets
 * a user compute its properties of a field once.
 */
export interface FieldType<F extends HeaderField> {
  create(name: string, value: string): F;
  /** The static table (RFC 7541 Appendix A); index 1 is at 0. */
  readonly staticTable: readonly F[];
}

/** RFC 7541 Appendix A; index 1 is at 0. */
const staticFields: readonly (readonly [name: string, value: string])[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language", ""],
  ["accept-ranges", ""],
  ["accept", ""],
  ["access-control-allow-origin", ""],
  ["age", ""],
  ["allow", ""],
  ["authorization", ""],
  ["cache-control", ""],
  ["content-disposition", ""],
  ["content-encoding", ""],
  ["content-language", ""],
  ["content-length", ""],
  ["content-location", ""],
  ["content-range", ""],
  ["content-type", ""],
  ["cookie", ""],
  ["date", ""],
  ["etag", ""],
  ["expect", ""],
  ["expires", ""],
  ["from", ""],
  ["host", ""],
  ["if-match", ""],
  ["if-modified-since", ""],
  ["if-none-match", ""],
  ["if-range", ""],
  ["if-unmodified-since", ""],
  ["last-modified", ""],
  ["link", ""],
  ["location", ""],
  ["max-forwards", ""],
  ["proxy-authenticate", ""],
  ["proxy-authorization", ""],
  ["range", ""],
  ["referer", ""],
  ["refresh", ""],
  ["retry-after", ""],
  ["server", ""],
  ["set-cookie", ""],
  ["strict-transport-security", ""],
  ["transfer-encoding", ""],
  ["user-agent", ""],
  ["vary", ""],
  ["via", ""],
  ["www-authenticate", ""],
];

/** A type of fields with its static table, made once for all decoders that use it. */
export function fieldType<F extends HeaderField>(create: (name: string, value: string) => F): FieldType<F> {
  return { create, staticTable: staticFields.map(([name, value]) => create(name, value)) };
}

/**
 * The fields that the encoder of the peer has added (RFC 7541 §2.3.2 and §2.3.3): a ring, addressed from the newest.
 *
 *     index   62      63      …    61 + length
 *           newest                   oldest
 *             ▲                        │
 *           added                   evicted
 */
export class DynamicTable<F extends HeaderField> {
  #fields: (F | undefined)[] = new Array(16).fill(undefined);
  /** Where the newest field is. */
  #newest = 0;
  #length = 0;
  #size = 0;
  #maxSize: number;

  /** Bytes as RFC 7541 §4.1 counts them. */
  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes of all fields. */
  get size(): number {
    return this.#size;
  }

  /** `index` counts from 0, the newest field; on the wire it is 62. */
  at(index: number): F | undefined {
    if (index >= this.#length) return undefined;
    return this.#fields[(this.#newest - index) & (this.#fields.length - 1)];
  }

  /** A field larger than the table empties it (§4.4). */
  add(field: F): void {
    const { size } = field;
    this.#evict(this.#maxSize - size);
    if (size > this.#maxSize) return;
    if (this.#length === this.#fields.length) this.#grow();
    this.#newest = (this.#newest + 1) & (this.#fields.length - 1);
    this.#fields[this.#newest] = field;
    this.#length++;
    this.#size += size;
  }

  resize(maxSize: number): void {
    this.#maxSize = maxSize;
    this.#evict(maxSize);
  }

  /** Drops the oldest fields until the others take no more than `room`. */
  #evict(room: number): void {
    while (this.#size > room && this.#length > 0) {
      this.#length--;
      const oldest = (this.#newest - this.#length) & (this.#fields.length - 1);
      this.#size -= this.#fields[oldest]!.size;
      this.#fields[oldest] = undefined;
    }
  }

  #grow(): void {
    const fields: (F | undefined)[] = new Array(this.#fields.length * 2).fill(undefined);
    for (let index = 0; index < this.#length; index++) fields[this.#length - 1 - index] = this.at(index);
    this.#fields = fields;
    this.#newest = this.#length - 1;
  }
}
