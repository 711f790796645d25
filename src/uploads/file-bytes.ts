import { isHttpBody } from "../codec/http-body.js";
import type { Field, MessageType } from "../descriptors/model.js";
import { LENGTH } from "../wire/wire-type.js";
import { WireWriter } from "../wire/writer.js";

/** The fields that a dotted name leads through, proto and JSON names both; undefined where it leads nowhere. */
export function fieldPath(type: MessageType, name: string): readonly Field[] | undefined {
  const path: Field[] = [];
  let message: MessageType | undefined = type;
  for (const part of name.split(".")) {
    const field: Field | undefined = message?.fieldsByName.get(part);
    if (field === undefined) return undefined;
    path.push(field);
    message = field.repeated ? undefined : field.message;
  }
  return path;
}

/** Whether the field at the end of a path takes the bytes of a file: `bytes` or `google.api.HttpBody`, or a list of them. */
export function takesFile(path: readonly Field[]): boolean {
  const leaf = path.at(-1);
  if (leaf === undefined || leaf.map !== undefined || path.some(({ delimited }) => delimited)) return false;
  return leaf.kind === "bytes" || isHttpBody(leaf.message);
}

/**
 * The bytes of a request that sets one field to the content of a file, and nothing else. After other bytes of the same
 * message they add the field to those.
 * @param path to the field; empty where the request is a google.api.HttpBody
 * @param contentType for google.api.HttpBody; empty: none
 * @returns pieces; those of `content` are not copied
 */
export function fileBytes(
  path: readonly Field[],
  contentType: string,
  content: readonly Uint8Array[],
): Uint8Array[] {
  const pieces: Uint8Array[] = [...content];
  let length = content.reduce((sum, { length: each }) => sum + each, 0);
  const wrap = (number: number): void => {
    const head = fieldHead(number, length);
    pieces.unshift(head);
    length += head.length;
  };
  const leaf = path.at(-1);
  if (leaf === undefined || leaf.kind === "message") {
    if (length > 0) wrap(2);
    if (contentType !== "") {
      const type = Buffer.from(contentType);
      const head = fieldHead(1, type.length);
      pieces.unshift(head, type);
      length += head.length + type.length;
    }
  }
  for (const { number } of path.toReversed()) wrap(number);
  return pieces;
}

/** The tag and length before a value of so many bytes. */
function fieldHead(number: number, length: number): Uint8Array {
  const writer = new WireWriter();
  writer.tag(number, LENGTH);
  writer.varint(BigInt(length));
  return writer.finish();
}
