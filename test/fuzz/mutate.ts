export type Random = (below: number) => number;

/** A stream of integers from 0 below a bound (xorshift32), the same for the same seed. */
export function randomFrom(seed: number): Random {
  let state = seed | 0 || 1;
  return below => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Bytes and texts that readers treat in a special way. */
const tokens: readonly Buffer[] = [
  ..."{}[]\":,\\/%.*=&+-eE~#'()<>;|!@\0\t\n\r\x7f\x80\xff",
  "\\u0000",
  "\\ud800",
  "%2F",
  "%00",
  "%ff",
  "null",
  "true",
  "rAll",
  "mInt64",
  "kBool",
  "anyValue",
  "value",
  '"@type":"type.googleapis.com/google.protobuf.Timestamp"',
  '"rValue":[{"a":[1]}]',
  "wUint64",
  "r_bytes",
  "1e400",
  "-0",
  "9223372036854775808",
  "**",
  "..",
  "\xed\xa0\x80",
  "\xf0\x9f\x98\x80",
  "\xef\xbb\xbf",
  "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
].map(text => Buffer.from(text, "latin1"));

/** One to four changes of an input of the pool. */
export function mutate(random: Random, pool: readonly Buffer[], maxBytes: number): Buffer {
  let bytes: Buffer = Buffer.from(pick(random, pool));
  for (let changes = 1 + random(4); changes > 0; changes--) bytes = change(random, bytes, pool);
  return bytes.subarray(0, maxBytes);
}

function change(random: Random, bytes: Buffer, pool: readonly Buffer[]): Buffer {
  const at = random(bytes.length + 1);
  const end = at + random(Math.min(16, bytes.length - at) + 1);
  switch (random(7)) {
    case 0:
      if (bytes.length > 0) bytes[random(bytes.length)] = random(256);
      return bytes;
    case 1:
      if (bytes.length > 0) {
        const index = random(bytes.length);
        bytes[index] = (bytes[index] as number) ^ (1 << random(8));
      }
      return bytes;
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, at), pick(random, tokens), bytes.subarray(at)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), pick(random, tokens), bytes.subarray(end)]);
    case 5:
      // Repeats a part, so that nesting and lists grow.
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at, end), bytes.subarray(end)]);
    default: {
      const other = pick(random, pool);
      const cut = random(other.length + 1);
      return Buffer.concat([bytes.subarray(0, at), other.subarray(cut, cut + 64), bytes.subarray(end)]);
    }
  }
}

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random(list.length)] as T;
}
