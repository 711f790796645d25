import type { FieldSink } from "../../h2/hpack-decoder.js";
import { fieldType, HeaderField, isLegalName, isLegalValue } from "../../h2/hpack-table.js";
import { type Metadata, noMetadata } from "../channel.js";
import { maxHeaderList, ownNames } from "./metadata.js";

/** The meaning of a header field of a response for a gRPC client. */
const FieldKind = {
  Metadata: 0,
  /** Concerns only the transport, and nothing that we look at. */
  Ignored: 1,
  /** RFC 9113 §8.2 forbids it, or it is a pseudo-header that responses do not have. */
  Malformed: 2,
  HttpStatus: 3,
  ContentType: 4,
  GrpcStatus: 5,
  GrpcMessage: 6,
  GrpcEncoding: 7,
  GrpcAcceptEncoding: 8,
} as const;

type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

const kinds = new Map<string, FieldKind>([
  [":status", FieldKind.HttpStatus],
  ["content-type", FieldKind.ContentType],
  ["grpc-status", FieldKind.GrpcStatus],
  ["grpc-message", FieldKind.GrpcMessage],
  ["grpc-encoding", FieldKind.GrpcEncoding],
  ["grpc-accept-encoding", FieldKind.GrpcAcceptEncoding],
]);
for (const name of ownNames)
  if (!kinds.has(name)) kinds.set(name, isLegalName(name) ? FieldKind.Ignored : FieldKind.Malformed);

function kindOf(name: string, value: string): FieldKind {
  const kind = kinds.get(name) ?? (isLegalName(name) ? FieldKind.Metadata : FieldKind.Malformed);
  return isLegalValue(value) ? kind : FieldKind.Malformed;
}

/** One field of a response, with its meaning for a gRPC client. */
export class ResponseField extends HeaderField {
  readonly kind: FieldKind;
  #entries: Metadata | undefined;

  constructor(name: string, value: string) {
    super(name, value);
    this.kind = kindOf(name, value);
  }

  /** As metadata: one entry, or for a `-bin` name one for each of the values joined by commas. */
  get entries(): Metadata {
    const { name, value } = this;
    this.#entries ??= name.endsWith("-bin")
      ? value.split(",").map(part => [name, Buffer.from(part, "base64")])
      : [[name, value]];
    return this.#entries;
  }
}

export const responseFields = fieldType((name, value) => new ResponseField(name, value));

/** One header block of a response: initial metadata or trailers. */
export class ResponseHead implements FieldSink<ResponseField> {
  /** Describes the error (RFC 9113 §8.1.1); undefined where there is none. */
  malformed: string | undefined;
  tooLarge = false;
  /** 0: without. */
  httpStatus = 0;
  contentType: string | undefined;
  grpcStatus: string | undefined;
  grpcMessage: string | undefined;
  grpcEncoding: string | undefined;
  grpcAcceptEncoding: string | undefined;
  /** The entries that are not the transport's own. */
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
    this.grpcAcceptEncoding = undefined;
    this.metadata = noMetadata;
    this.#entries = undefined;
    this.#size = 0;
    this.#regular = false;
  }

  /** Comes before the head of the response, any number of times (RFC 9110 §15.2). */
  get informational(): boolean {
    return this.httpStatus >= 100 && this.httpStatus < 200;
  }

  /** Keeps the fields about encodings as metadata. */
  keepEncodings(): void {
    const { grpcEncoding, grpcAcceptEncoding } = this;
    if (grpcEncoding !== undefined) this.#add([["grpc-encoding", grpcEncoding]]);
    if (grpcAcceptEncoding !== undefined) this.#add([["grpc-accept-encoding", grpcAcceptEncoding]]);
  }

  field(field: ResponseField): void {
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
        // Of two, neither is certain: joined they are malformed.
        this.grpcStatus = this.grpcStatus === undefined ? field.value : `${this.grpcStatus},${field.value}`;
        break;
      case FieldKind.GrpcMessage:
        this.grpcMessage = field.value;
        break;
      case FieldKind.GrpcEncoding:
        this.grpcEncoding = field.value;
        break;
      case FieldKind.GrpcAcceptEncoding:
        this.grpcAcceptEncoding = field.value;
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
