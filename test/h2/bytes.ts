import { huffmanCodes, huffmanLengths } from "../../src/h2/huffman.js";

/** Bytes written as hexadecimal digits; white space does not matter. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replace(/\s/g, ""), "hex");
}

/** RFC 7541 §5.2 */
export function encodeHuffman(bytes: Uint8Array): Buffer {
  let bits = "";
  for (const byte of bytes) bits += huffmanCodes[byte]!.toString(2).padStart(huffmanLengths[byte]!, "0");
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, "1");
  return Buffer.from(bits.match(/.{8}/g)?.map(byte => Number.parseInt(byte, 2)) ?? []);
}
