import type { ByteWriter } from "../../h2/bytes.js";
import { encodedName, writeString } from "../../h2/hpack-encoder.js";
import type { Metadata } from "../channel.js";
import { asBuffer, illegalMetadata, legalName, legalValue, ownNames, singleNames } from "../metadata.js";

/** Names come from configuration, nearly all of them; those that callers make up must not pile up. */
const maxNames = 1024;

/** What is known of a legal name of metadata. */
interface MetadataName {
  readonly encoded: Buffer;
  readonly binary: boolean;
  readonly single: boolean;
}

const names = new Map<string, MetadataName>();

/** @throws Error naming what HTTP/2 cannot carry or what is the transport's own */
function metadataName(name: string): MetadataName {
  let known = names.get(name);
  if (known === undefined) {
    if (!legalName.test(name)) throw illegalMetadata(name, "the name has illegal characters");
    if (ownNames.has(name)) throw illegalMetadata(name, "the name belongs to the transport");
    known = { encoded: encodedName(name), binary: name.endsWith("-bin"), single: singleNames.has(name) };
    if (names.size >= maxNames) names.clear();
    names.set(name, known);
  }
  return known;
}

/**
 * Checks the metadata of a request. Returns its size as RFC 9113 §6.5.2 counts.
 * @throws Error naming the entry that HTTP/2 cannot carry or that is the transport's own
 */
export function checkMetadata(metadata: Metadata): number {
  let size = 0;
  for (let index = 0; index < metadata.length; index++) {
    const [name, value] = metadata[index]!;
    const { binary, single } = metadataName(name);
    if (single) refuseSecond(metadata, index, name);
    if (typeof value !== "string") {
      if (!binary) throw illegalMetadata(name, "expected text; bytes need a name that ends in -bin");
    } else {
      if (binary) throw illegalMetadata(name, "expected bytes");
      if (!legalValue.test(value))
        throw illegalMetadata(name, "the value has characters other than printable ASCII");
    }
    size += name.length + 32 + (typeof value === "string" ? value.length : Math.ceil((value.length * 4) / 3));
  }
  return size;
}

function refuseSecond(metadata: Metadata, index: number, name: string): void {
  for (let before = 0; before < index; before++)
    if (metadata[before]![0] === name) throw illegalMetadata(name, "only one value is allowed");
}

/** Writes metadata that was checked. */
export function writeMetadata(out: ByteWriter, metadata: Metadata): void {
  for (let index = 0; index < metadata.length; index++) {
    const [name, value] = metadata[index]!;
    out.append(metadataName(name).encoded);
    writeString(out, typeof value === "string" ? value : base64(value));
  }
}

/** Without padding, as the specification asks (gRPC over HTTP/2, Binary-Header). */
function base64(bytes: Uint8Array): string {
  return asBuffer(bytes).toString("base64").replace(/=+$/, "");
}
