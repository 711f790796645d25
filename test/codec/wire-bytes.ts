/** Hand-made wire bytes. */
export function varint(value: number | bigint): number[] {
  let rest = BigInt.asUintN(64, BigInt(value));
  const out: number[] = [];
  while (rest > 0x7fn) {
    out.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return [...out, Number(rest)];
}

/** A tag of field number and wire type. */
export function tag(number: number, type: number): number[] {
  return varint((BigInt(number) << 3n) | BigInt(type));
}

/** A varint field. */
export function int(number: number, value: number | bigint): number[] {
  return [...tag(number, 0), ...varint(value)];
}

/** A length-delimited field of text, bytes or other fields. */
export function len(number: number, content: string | readonly number[]): number[] {
  const bytes = typeof content === "string" ? [...Buffer.from(content)] : content;
  return [...tag(number, 2), ...varint(bytes.length), ...bytes];
}

export function group(number: number, content: readonly number[]): number[] {
  return [...tag(number, 3), ...content, ...tag(number, 4)];
}

export function wire(...fields: readonly (readonly number[])[]): Uint8Array {
  return Uint8Array.from(fields.flat());
}
