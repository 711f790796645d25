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
 * What a decoder makes of fields. Those in the dynamic table are met again and again: a class of fields of its own finds
 * out once what its user wants to know of a field.
 */
export interface FieldType<F extends HeaderField> {
  create(name: string, value: string): F;
  /** The static table (RFC 7541 Appendix A); index 1 is at 0. */
  readonly staticTable: readonly F[];
}
