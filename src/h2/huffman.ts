/**
 * RFC 7541 Appendix B: the bits of the code of each byte, and of EOS last. The code is canonical (codes of one length
 * are consecutive, in the order of their symbols), so that the lengths are enough.
 */
export const huffmanLengths: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const eos = 256;

/** The code of each symbol as a number, aligned to the right. */
export const huffmanCodes: readonly number[] = assignCodes();

function assignCodes(): number[] {
  const codes = new Array<number>(huffmanLengths.length).fill(0);
  let code = 0;
  for (let length = 1; length <= 30; length++) {
    code <<= 1;
    for (let symbol = 0; symbol <= eos; symbol++)
      if (huffmanLengths[symbol] === length) codes[symbol] = code++;
  }
  return codes;
}

// Decoding walks the code tree four bits at a time. No code is shorter than five bits, so a step emits one byte at most.
const Step = { StateMask: 0xff, Emits: 0x100, Fails: 0x200, SymbolShift: 16 } as const;
/** The result of four more bits in a state, by state × 16 + bits. States are the inner nodes of the tree, 0 its root. */
const steps = new Uint32Array(256 * 16);
/** States in which a string may end: fewer than eight bits since the last byte, all of them 1 (RFC 7541 §5.2). */
const final = new Uint8Array(256);
buildSteps();

function buildSteps(): void {
  // A child is an inner node, or -1 - symbol for a leaf.
  const tree: [number, number][] = [[0, 0]];
  for (let symbol = 0; symbol <= eos; symbol++) {
    let node = 0;
    for (let bit = huffmanLengths[symbol]! - 1; bit >= 0; bit--) {
      const side = (huffmanCodes[symbol]! >> bit) & 1;
      if (bit === 0) tree[node]![side] = -1 - symbol;
      else if (tree[node]![side] === 0) node = tree[node]![side] = tree.push([0, 0]) - 1;
      else node = tree[node]![side]!;
    }
  }
  for (let state = 0; state < tree.length; state++)
    for (let bits = 0; bits < 16; bits++) steps[state * 16 + bits] = walk(tree, state, bits);
  for (let node = 0, depth = 0; depth < 8; depth++) {
    final[node] = 1;
    node = tree[node]![1];
  }
}

function walk(tree: readonly [number, number][], from: number, bits: number): number {
  let node = from;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    node = tree[node]![(bits >> bit) & 1]!;
    if (node >= 0) continue;
    const symbol = -1 - node;
    if (symbol === eos) return Step.Fails;
    emitted = Step.Emits | (symbol << Step.SymbolShift);
    node = 0;
  }
  return node | emitted;
}

/**
 * Decodes bytes `from` to `to` of `source` to the start of `target`, which must have room for 8/5 of them.
 * Returns how many were written; -1 where the bytes are no Huffman string: EOS, or padding that is longer than seven
 * bits or not all 1 (RFC 7541 §5.2).
 */
export function decodeHuffman(source: Uint8Array, from: number, to: number, target: Uint8Array): number {
  let state = 0;
  let size = 0;
  for (let at = from; at < to; at++) {
    const byte = source[at]!;
    const high = steps[state * 16 + (byte >> 4)]!;
    if ((high & Step.Emits) !== 0) target[size++] = high >> Step.SymbolShift;
    const low = steps[(high & Step.StateMask) * 16 + (byte & 15)]!;
    if ((low & Step.Emits) !== 0) target[size++] = low >> Step.SymbolShift;
    if (((high | low) & Step.Fails) !== 0) return -1;
    state = low & Step.StateMask;
  }
  return final[state] === 1 ? size : -1;
}
