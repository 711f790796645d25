import type { ByteWriter } from "../../h2/bytes.js";
import { type Metadata, noMetadata } from "../channel.js";
import { type Fields, HeaderFields } from "./header-fields.js";

/**
 * `trans_info`, a map of texts to bytes, is metadata in both directions. A map has one value for each key: of several
 * values of one name, texts are joined by commas as in HTTP, and of bytes the last counts.
 */

/** Tags of an entry of `trans_info` in a request, and of key and value in it. */
const requestEntryTag = 0x4a;
const keyTag = 0x0a;
const valueTag = 0x12;

/** Keys that begin so belong to the framework. */
const frameworkPrefix = "trpc-";

/** Whether a name belongs to the framework, and so to neither callers nor backends. */
function isFrameworkName(name: string): boolean {
  return name.startsWith(frameworkPrefix);
}

const legalName = /^[0-9a-z_.-]+$/;
const legalText = /^[\x20-\x7e]*$/;

/** The most that tags and lengths of an entry take. */
const entryOverhead = 18;
/** At most so many bytes has the length of an entry, a key or a value. */
const maxLengthBytes = 5;

/** Writes metadata that was checked: names and texts are ASCII. */
export function writeTransInfo(out: ByteWriter, metadata: Metadata): void {
  for (let index = 0; index < metadata.length; index++) {
    const [name, value] = metadata[index]!;
    if (isFrameworkName(name) || repeats(metadata, index, name)) continue;
    if (typeof value !== "string") {
      writeEntry(out, name, value);
      continue;
    }
    writeEntry(out, name, joined(metadata, index, name, value));
  }
}

/** Whether the entry is written with another of its name: a text with the first, bytes with the last. */
function repeats(metadata: Metadata, index: number, name: string): boolean {
  const [from, to] = name.endsWith("-bin") ? [index + 1, metadata.length] : [0, index];
  for (let other = from; other < to; other++) if (metadata[other]![0] === name) return true;
  return false;
}

function joined(metadata: Metadata, index: number, name: string, first: string): string {
  let text = first;
  for (let other = index + 1; other < metadata.length; other++) {
    const [otherName, value] = metadata[other]!;
    if (otherName === name) text += `,${String(value)}`;
  }
  return text;
}

function writeEntry(out: ByteWriter, name: string, value: string | Uint8Array): void {
  const size = 1 + varintSize(name.length) + name.length + 1 + varintSize(value.length) + value.length;
  out.reserve(1 + maxLengthBytes + size);
  out.bytes[out.length++] = requestEntryTag;
  writeVarint(out, size);
  out.bytes[out.length++] = keyTag;
  writeVarint(out, name.length);
  out.ascii(name);
  out.bytes[out.length++] = valueTag;
  writeVarint(out, value.length);
  if (typeof value === "string") out.ascii(value);
  else out.append(value);
}

/** Names that were checked. They come from configuration, nearly all of them; those that callers make up must not pile up. */
const checkedNames = new Set<string>();
const maxNames = 1024;

/**
 * Checks the metadata of a request. Returns an upper bound of the bytes that `writeTransInfo` writes.
 * @throws Error naming the entry that cannot be metadata
 */
export function checkTransInfo(metadata: Metadata): number {
  let size = 0;
  for (let index = 0; index < metadata.length; index++) {
    const [name, value] = metadata[index]!;
    if (!checkedNames.has(name)) checkName(name);
    if (typeof value === "string" && !legalText.test(value))
      throw illegalMetadata(name, "the value has characters other than printable ASCII");
    size += name.length + value.length + entryOverhead;
  }
  return size;
}

function checkName(name: string): void {
  if (!legalName.test(name)) throw illegalMetadata(name, "the name has illegal characters");
  if (checkedNames.size >= maxNames) checkedNames.clear();
  checkedNames.add(name);
}

function illegalMetadata(name: string, why: string): Error {
  return new Error(`metadata ${JSON.stringify(name.slice(0, 64))} cannot be sent: ${why}`);
}

/** Writes 0..2^32-1; room must have been reserved. */
export function writeVarint(out: ByteWriter, value: number): void {
  const { bytes } = out;
  let rest = value >>> 0;
  while (rest > 0x7f) {
    bytes[out.length++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[out.length++] = rest;
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest > 0x7f; rest >>>= 7) size++;
  return size;
}

/** One entry of the map. */
class Entry implements Fields {
  keyFrom = 0;
  keyTo = 0;
  valueFrom = 0;
  valueTo = 0;

  clear(): void {
    this.keyFrom = this.keyTo = this.valueFrom = this.valueTo = 0;
  }

  varint(): void {}

  delimited(field: number, from: number, to: number): void {
    if (field === 1) {
      this.keyFrom = from;
      this.keyTo = to;
    } else if (field === 2) {
      this.valueFrom = from;
      this.valueTo = to;
    }
  }
}

const entry = new Entry();
const entryFields = new HeaderFields();

/**
 * The metadata in entries of `trans_info`, whose positions in `bytes` are `ranges`: from, to, and so on. Left out are
 * entries that cannot be metadata (no legal name, a text that is not printable ASCII), those of the framework, and
 * those of `sent` that the server only returns: tRPC-Go returns every entry of the request, and these are not for the
 * caller.
 */
export function readTransInfo(bytes: Buffer, ranges: readonly number[], sent: Metadata): Metadata {
  let metadata: [name: string, value: string | Uint8Array][] | undefined;
  for (let index = 0; index < ranges.length; index += 2) {
    entry.clear();
    if (!entryFields.read(bytes, ranges[index]!, ranges[index + 1]!, entry)) continue;
    if (isEcho(bytes, entry, sent)) continue;
    const name = bytes.toString("latin1", entry.keyFrom, entry.keyTo).toLowerCase();
    if (!legalName.test(name) || isFrameworkName(name)) continue;
    const { valueFrom, valueTo } = entry;
    if (name.endsWith("-bin")) {
      metadata ??= [];
      metadata.push([name, new Uint8Array(bytes.subarray(valueFrom, valueTo))]);
      continue;
    }
    const text = bytes.toString("latin1", valueFrom, valueTo);
    if (!legalText.test(text)) continue;
    metadata ??= [];
    metadata.push([name, text]);
  }
  return metadata ?? noMetadata;
}

/** Whether an entry has a name and a value that were sent. */
function isEcho(bytes: Buffer, { keyFrom, keyTo, valueFrom, valueTo }: Entry, sent: Metadata): boolean {
  for (let index = 0; index < sent.length; index++) {
    const [name, value] = sent[index]!;
    if (name.length !== keyTo - keyFrom || !isAscii(bytes, keyFrom, name)) continue;
    if (typeof value !== "string") return bytes.subarray(valueFrom, valueTo).equals(value);
    const text = joined(sent, index, name, value);
    return text.length === valueTo - valueFrom && isAscii(bytes, valueFrom, text);
  }
  return false;
}

function isAscii(bytes: Buffer, from: number, text: string): boolean {
  for (let index = 0; index < text.length; index++)
    if (bytes[from + index] !== text.charCodeAt(index)) return false;
  return true;
}
