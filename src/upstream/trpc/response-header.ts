import type { Metadata } from "../channel.js";
import { type Fields, HeaderFields } from "./header-fields.js";
import { readTransInfo } from "./trans-info.js";

/** Numbers of `ResponseProtocol` (trpc.proto). 11 is not used. */
const Field = {
  RequestId: 3,
  Ret: 4,
  FuncRet: 5,
  ErrorMessage: 6,
  TransInfo: 8,
  ContentType: 9,
  ContentEncoding: 10,
  AttachmentSize: 12,
} as const;

/** Bytes of an error message that are kept. */
const maxMessageBytes = 8 * 1024;

/** The header of a response. One object is used for all of a connection: nothing of it holds on to the bytes. */
export class ResponseHeader implements Fields {
  requestId = 0;
  /** Of the framework; 0: none. */
  ret = 0;
  /** Of the business, any number of 32 bits; 0: none. */
  funcRet = 0;
  errorMessage = "";
  contentType = 0;
  contentEncoding = 0;
  attachmentSize = 0;
  /** Where `trans_info` entries are: from, to, and so on, until `metadata` is called. */
  readonly #transInfo: number[] = [];
  readonly #fields = new HeaderFields();
  #bytes: Buffer | undefined;

  /** Reads a header. False where it is no message. */
  read(bytes: Buffer, from: number, to: number): boolean {
    this.requestId = this.ret = this.funcRet = 0;
    this.errorMessage = "";
    this.contentType = this.contentEncoding = this.attachmentSize = 0;
    this.#transInfo.length = 0;
    this.#bytes = bytes;
    const wellFormed = this.#fields.read(bytes, from, to, this);
    return wellFormed;
  }

  /** The `trans_info` of the header that was read last, while its bytes are valid; without the entries of `sent`. */
  metadata(sent: Metadata): Metadata {
    return readTransInfo(this.#bytes!, this.#transInfo, sent);
  }

  varint(field: number, value: number): void {
    switch (field) {
      case Field.RequestId:
        this.requestId = value >>> 0;
        break;
      case Field.Ret:
        this.ret = value | 0;
        break;
      case Field.FuncRet:
        this.funcRet = value | 0;
        break;
      case Field.ContentType:
        this.contentType = value >>> 0;
        break;
      case Field.ContentEncoding:
        this.contentEncoding = value >>> 0;
        break;
      case Field.AttachmentSize:
        this.attachmentSize = value >>> 0;
        break;
    }
  }

  delimited(field: number, from: number, to: number): void {
    if (field === Field.TransInfo) this.#transInfo.push(from, to);
    else if (field === Field.ErrorMessage)
      this.errorMessage = this.#bytes!.toString("utf8", from, Math.min(to, from + maxMessageBytes));
  }
}
