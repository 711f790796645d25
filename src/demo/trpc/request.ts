import { type Fields, HeaderFields } from "../../upstream/trpc/header-fields.js";

/** The header of a request as a server reads it (trpc.proto, RequestProtocol). */
export class RequestHeader implements Fields {
  oneWay = false;
  requestId = 0;
  /** Milliseconds; 0: none. */
  timeout = 0;
  caller = "";
  callee = "";
  func = "";
  contentType = 0;
  contentEncoding = 0;
  attachmentSize = 0;
  /** Undecoded entries of `trans_info`. */
  readonly transInfo: Buffer[] = [];
  readonly #bytes: Buffer;

  private constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Undefined where the bytes are no message. */
  static read(bytes: Buffer): RequestHeader | undefined {
    const header = new RequestHeader(bytes);
    return new HeaderFields().read(bytes, 0, bytes.length, header) ? header : undefined;
  }

  varint(field: number, value: number): void {
    if (field === 2) this.oneWay = value === 1;
    else if (field === 3) this.requestId = value >>> 0;
    else if (field === 4) this.timeout = value >>> 0;
    else if (field === 10) this.contentType = value;
    else if (field === 11) this.contentEncoding = value;
    else if (field === 12) this.attachmentSize = value >>> 0;
  }

  delimited(field: number, from: number, to: number): void {
    if (field === 5) this.caller = this.#bytes.toString("utf8", from, to);
    else if (field === 6) this.callee = this.#bytes.toString("utf8", from, to);
    else if (field === 7) this.func = this.#bytes.toString("utf8", from, to);
    else if (field === 9) this.transInfo.push(this.#bytes.subarray(from, to));
  }

  /** `trans_info` as texts. */
  metadata(): Map<string, string> {
    const metadata = new Map<string, string>();
    for (const entry of this.transInfo) {
      let key = "";
      let value = "";
      new HeaderFields().read(entry, 0, entry.length, {
        varint: () => {},
        delimited: (field, from, to) => {
          if (field === 1) key = entry.toString("utf8", from, to);
          if (field === 2) value = entry.toString("utf8", from, to);
        },
      });
      metadata.set(key, value);
    }
    return metadata;
  }
}
