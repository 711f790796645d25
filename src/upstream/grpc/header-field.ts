import type { Metadata } from "../channel.js";
import { ownNames } from "./metadata.js";

/** What a header field of an answer is to a gRPC client. */
export const FieldKind = {
  Metadata: 0,
  /** Concerns only the transport, and nothing that we look at. */
  Ignored: 1,
  /** RFC 9113 §8.2 forbids it, or it is a pseudo-header that answers do not have. */
  Malformed: 2,
  HttpStatus: 3,
  ContentType: 4,
  GrpcStatus: 5,
  GrpcMessage: 6,
  GrpcEncoding: 7,
} as const;

export type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

const kinds = new Map<string, FieldKind>([
  [":status", FieldKind.HttpStatus],
  ["content-type", FieldKind.ContentType],
  ["grpc-status", FieldKind.GrpcStatus],
  ["grpc-message", FieldKind.GrpcMessage],
  ["grpc-encoding", FieldKind.GrpcEncoding],
  // RFC 9113 §8.2.2
  ["connection", FieldKind.Malformed],
  ["keep-alive", FieldKind.Malformed],
  ["proxy-connection", FieldKind.Malformed],
  ["transfer-encoding", FieldKind.Malformed],
  ["upgrade", FieldKind.Malformed],
]);
for (const name of ownNames) if (!kinds.has(name)) kinds.set(name, FieldKind.Ignored);

/** RFC 9113 §8.2.1: neither upper case nor controls, spaces or bytes beyond ASCII, and a colon only in front. */
const illegalName = /^$|[\0-\x20A-Z\x7f-\xff]|.:/;
const illegalValue = /[\0\n\r]|^[\t ]|[\t ]$/;

function kindOf(name: string, value: string): FieldKind {
  const kind = kinds.get(name) ?? FieldKind.Metadata;
  if (kind === FieldKind.Metadata && (name.startsWith(":") || illegalName.test(name)))
    return FieldKind.Malformed;
  return illegalValue.test(value) ? FieldKind.Malformed : kind;
}

/**
 * One field of a header block. Those in the dynamic table are met again and again: what can be known of a field is
 * found out once.
 */
export class HeaderField {
  readonly name: string;
  /** One character a byte. */
  readonly value: string;
  readonly kind: FieldKind;
  #entries: Metadata | undefined;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    this.kind = kindOf(name, value);
  }

  /** As tables and limits count it (RFC 7541 §4.1). */
  get size(): number {
    return this.name.length + this.value.length + 32;
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
