import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteWriter } from "../../src/h2/bytes.js";
import type { HpackDecoder } from "../../src/h2/hpack-decoder.js";
import { encodedName, writeInteger, writeString } from "../../src/h2/hpack-encoder.js";
import { DynamicTable, HeaderField } from "../../src/h2/hpack-table.js";
import { decodeHuffman, huffmanLengths } from "../../src/h2/huffman.js";
import { ConnectionError, ErrorCode } from "../../src/h2/protocol.js";
import { encodeHuffman, hex } from "./bytes.js";
import { hpackDecoder } from "./parts.js";

type Fields = readonly (readonly [name: string, value: string])[];

function decode(decoder: HpackDecoder<HeaderField>, block: Buffer): [string, string][] {
  const fields: [string, string][] = [];
  decoder.decode(block, 0, block.length, { field: ({ name, value }) => fields.push([name, value]) });
  return fields;
}

const request1: Fields = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "www.example.com"],
];
const request2: Fields = [...request1, ["cache-control", "no-cache"]];
const request3: Fields = [
  [":method", "GET"],
  [":scheme", "https"],
  [":path", "/index.html"],
  [":authority", "www.example.com"],
  ["custom-key", "custom-value"],
];
const response1: Fields = [
  [":status", "302"],
  ["cache-control", "private"],
  ["date", "Mon, 21 Oct 2013 20:13:21 GMT"],
  ["location", "https://www.example.com"],
];
const response2: Fields = [[":status", "307"], ...response1.slice(1)];
const response3: Fields = [
  [":status", "200"],
  ["cache-control", "private"],
  ["date", "Mon, 21 Oct 2013 20:13:22 GMT"],
  ["location", "https://www.example.com"],
  ["content-encoding", "gzip"],
  ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
];

/** RFC 7541 Appendix C.2 to C.6: blocks in the order in which one decoder gets them, after a table size where one is set. */
const vectors: readonly { name: string; blocks: readonly (readonly [block: string, fields: Fields])[] }[] = [
  {
    name: "C.2.1 a literal with indexing",
    blocks: [
      ["400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", [["custom-key", "custom-header"]]],
    ],
  },
  {
    name: "C.2.2 a literal without indexing",
    blocks: [["040c 2f73 616d 706c 652f 7061 7468", [[":path", "/sample/path"]]]],
  },
  {
    name: "C.2.3 a literal never indexed",
    blocks: [["1008 7061 7373 776f 7264 0673 6563 7265 74", [["password", "secret"]]]],
  },
  { name: "C.2.4 an indexed field", blocks: [["82", [[":method", "GET"]]]] },
  {
    name: "C.3 requests without Huffman coding",
    blocks: [
      ["8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", request1],
      ["8286 84be 5808 6e6f 2d63 6163 6865", request2],
      ["8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", request3],
    ],
  },
  {
    name: "C.4 requests with Huffman coding",
    blocks: [
      ["8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", request1],
      ["8286 84be 5886 a8eb 1064 9cbf", request2],
      ["8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", request3],
    ],
  },
  {
    name: "C.5 responses without Huffman coding",
    blocks: [
      ["3fe1 01", []],
      [
        `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
         2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
         6c65 2e63 6f6d`,
        response1,
      ],
      ["4803 3330 37c1 c0bf", response2],
      [
        `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
         54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
         5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
         3d31`,
        response3,
      ],
    ],
  },
  {
    name: "C.6 responses with Huffman coding",
    blocks: [
      ["3fe1 01", []],
      [
        `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
        response1,
      ],
      ["4883 640e ffc1 c0bf", response2],
      [
        `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
         77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
         9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
        response3,
      ],
    ],
  },
];

for (const { name, blocks } of vectors) {
  test(`RFC 7541 ${name}`, () => {
    const decoder = hpackDecoder();
    for (const [block, fields] of blocks) assert.deepEqual(decode(decoder, hex(block)), fields);
  });
}

test("RFC 7541 C.1 integers", () => {
  for (const [prefix, value, bytes] of [
    [5, 10, "0a"],
    [5, 1337, "1f9a0a"],
    [8, 42, "2a"],
  ] as const) {
    const out = new ByteWriter(8);
    writeInteger(out, prefix, 0, value);
    assert.deepEqual(out.bytes.subarray(0, out.length), hex(bytes));
  }
});

test("RFC 7541 C.5: the dynamic table evicts by its size", () => {
  const table = new DynamicTable(256);
  for (const [name, value] of response1) table.add(new HeaderField(name, value));
  assert.equal(table.size, 222);
  table.add(new HeaderField(":status", "307"));
  assert.equal(table.size, 222);
  assert.equal(table.length, 4);
  assert.equal(table.at(0)?.value, "307");
  assert.equal(table.at(3)?.name, "cache-control");
  table.add(new HeaderField("x", "y".repeat(300)));
  assert.equal(table.length, 0);
});

test("HPACK integers are decoded as encoded, with every prefix", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 20_000 }), length => {
      const out = new ByteWriter(16);
      out.append(encodedName("x-name"));
      writeString(out, "v".repeat(length));
      const fields = decode(hpackDecoder(), Buffer.from(out.bytes.subarray(0, out.length)));
      assert.equal(fields[0]?.[1].length, length);
    }),
    { numRuns: 200 },
  );
});

test("Huffman-coded strings are decoded as encoded, all bytes included", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
      const coded = encodeHuffman(bytes);
      const target = Buffer.alloc(Math.ceil((coded.length * 8) / 5));
      const size = decodeHuffman(coded, 0, coded.length, target);
      assert.deepEqual(target.subarray(0, size), Buffer.from(bytes));
    }),
    { numRuns: 500 },
  );
});

test("the Huffman code of RFC 7541 Appendix B is complete", () => {
  const sum = huffmanLengths.reduce((total, length) => total + 2 ** -length, 0);
  assert.equal(sum, 1);
  assert.equal(huffmanLengths.length, 257);
});

test("Huffman strings with EOS, long padding or padding of zeros are refused", () => {
  const target = Buffer.alloc(16);
  for (const coded of ["ffffffff", "ffff", "1fff", "18", "00"].map(hex))
    assert.equal(decodeHuffman(coded, 0, coded.length, target), -1, coded.toString("hex"));
});

/** The same blocks as another encoder may write them: indexed or not, Huffman-coded or not. */
test("every field that a peer adds to the dynamic table is found by its index", () => {
  const name = fc.constantFrom("x-a", "x-b", "content-type", "grpc-status");
  const field = fc.tuple(name, fc.string({ maxLength: 200 }), fc.boolean());
  fc.assert(
    fc.property(fc.array(fc.array(field, { maxLength: 8 }), { maxLength: 30 }), blocks => {
      const decoder = hpackDecoder();
      const table: string[] = [];
      let size = 0;
      for (const block of blocks) {
        const out = new ByteWriter(64);
        const expected: [string, string][] = [];
        for (const [key, text, huffman] of block) {
          const value = Buffer.from(text).toString("latin1");
          const entry = `${key}: ${value}`;
          expected.push([key, value]);
          const found = table.indexOf(entry);
          if (found >= 0) {
            writeInteger(out, 7, 0x80, 62 + found);
            continue;
          }
          out.append(Uint8Array.of(0x40));
          writeString(out, key);
          const bytes = Buffer.from(value, "latin1");
          const coded = huffman ? encodeHuffman(bytes) : bytes;
          writeInteger(out, 7, huffman ? 0x80 : 0, coded.length);
          out.append(coded);
          table.unshift(entry);
          size += entry.length - 2 + 32;
          while (size > 4096) size -= (table.pop()?.length ?? 0) - 2 + 32;
        }
        assert.deepEqual(decode(decoder, Buffer.from(out.bytes.subarray(0, out.length))), expected);
      }
    }),
    { numRuns: 200 },
  );
});

for (const [what, block] of [
  ["index 0", "80"],
  ["an index beyond both tables", "be"],
  ["a name index beyond both tables", "7f00 00"],
  ["a table size above what was allowed", "3fe2 1f"],
  ["a table size update after a field", "8820"],
  ["an integer without an end", "ff80 8080 8080 8080"],
  ["an integer of more than 28 bits", "ffff ffff ff7f"],
  ["a string that is longer than the block", "400a 61"],
  ["a block that ends before the value", "4001 61"],
  ["a block that ends within an integer", "7f"],
  ["a Huffman string with EOS", "4084 ffff ffff 0161"],
] as const) {
  test(`${what} is a COMPRESSION_ERROR`, () => {
    assert.throws(
      () => decode(hpackDecoder(), hex(block)),
      (error: unknown) => error instanceof ConnectionError && error.code === ErrorCode.CompressionError,
    );
  });
}
