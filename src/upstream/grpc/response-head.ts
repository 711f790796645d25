import { maxHeaderList } from "../../h2/protocol.js";
import { type Metadata, noMetadata } from "../channel.js";

import { FieldKind, type HeaderField } from "./header-field.js";
import type { FieldSink } from "./hpack-decoder.js";

/** One header block of an answer: initial metadata or trailers. */
export class ResponseHead implements FieldSink {
  /** What is wrong with it (RFC 9113 §8.1.1); undefined where nothing is. */
  malformed: string | undefined;
  tooLarge = false;
  /** 0: without. */
  httpStatus = 0;
  contentType: string | undefined;
  grpcStatus: string | undefined;
  grpcMessage: string | undefined;
  grpcEncoding: string | undefined;
  /** What is not the transport's own. */
  metadata: Metadata = noMetadata;
  #entries: Metadata[number][] | undefined;
  #size = 0;
  #regular = false;

  /** Makes it ready for the next block. */
  clear(): void {
    this.malformed = undefined;
    this.tooLarge = false;
    this.httpStatus = 0;
    this.contentType = undefined;
    this.grpcStatus = undefined;
    this.grpcMessage = undefined;
    this.grpcEncoding = undefined;
    this.metadata = noMetadata;
    this.#entries = undefined;
    this.#size = 0;
    this.#regular = false;
  }

  /** Comes before the head of the response, any number of times (RFC 9110 §15.2). */
  get informational(): boolean {
    return this.httpStatus >= 100 && this.httpStatus < 200;
  }

  field(field: HeaderField): void {
    this.#size += field.size;
    if (this.#size > maxHeaderList) {
      this.tooLarge = true;
      return;
    }
    const { kind } = field;
    if (kind === FieldKind.HttpStatus) {
      this.#status(field.value);
      return;
    }
    this.#regular = true;
    switch (kind) {
      case FieldKind.Metadata:
        this.#add(field.entries);
        break;
      case FieldKind.ContentType:
        this.contentType = field.value;
        break;
      case FieldKind.GrpcStatus:
        // Of two nobody can say which counts: together they are none.
        this.grpcStatus = this.grpcStatus === undefined ? field.value : `${this.grpcStatus},${field.value}`;
        break;
      case FieldKind.GrpcMessage:
        this.grpcMessage = field.value;
        break;
      case FieldKind.GrpcEncoding:
        this.grpcEncoding = field.value;
        break;
      case FieldKind.Malformed:
        this.malformed = `the header field ${JSON.stringify(field.name.slice(0, 64))} is not allowed`;
    }
  }

  #status(value: string): void {
    if (this.#regular) this.malformed = "a pseudo-header comes after other header fields";
    else if (this.httpStatus !== 0 || !/^[1-9]\d\d$/.test(value)) this.malformed = "malformed :status";
    else this.httpStatus = Number(value);
  }

  #add(entries: Metadata): void {
    if (this.#entries === undefined) this.metadata = this.#entries = [];
    for (const entry of entries) this.#entries.push(entry);
  }
}
