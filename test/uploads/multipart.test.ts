import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { atOnce } from "../../src/net/pace.js";
import { GatewayError } from "../../src/status/failure.js";
import { boundaryOf, MultipartParser, type PartHead } from "../../src/uploads/multipart.js";

interface Part extends PartHead {
  content: string;
}

/** What a body is made of, given in pieces of a size. */
function parse(body: string, { boundary = "b", size = 1 << 20, maxParts = 100 } = {}): Part[] {
  const parts: Part[] = [];
  const parser = new MultipartParser(boundary, maxParts, {
    begin: head => parts.push({ ...head, content: "" }),
    data: chunk => {
      assert.ok(chunk.length > 0);
      (parts.at(-1) as Part).content += chunk.toString("latin1");
    },
    end: () => 0,
  });
  const bytes = Buffer.from(body, "latin1");
  for (let at = 0; at < bytes.length; at += size) atOnce(parser.read(bytes.subarray(at, at + size)));
  parser.end();
  return parts;
}

function errorOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof GatewayError, String(error));
    return `${error.failure.httpStatus} ${error.failure.reason}: ${error.message}`;
  }
  return "no error";
}

const field = (name: string, content: string, more = "") =>
  `--b\r\ncontent-disposition: form-data; name="${name}"${more}\r\n\r\n${content}\r\n`;

test("parts have their name, their type, whether they are files, and their bytes", () => {
  const body = `${field("a", "1")}--b\r\nContent-Type: image/png\r\nContent-Disposition: form-data; name=f; filename="x.png"\r\n\r\n\r\n\x00\xff--b\r\n--b--\r\n`;
  assert.deepEqual(parse(body), [
    { name: "a", file: false, contentType: "", content: "1" },
    { name: "f", file: true, contentType: "image/png", content: "\r\n\x00\xff--b" },
  ]);
});

test("a part may be empty, and the body may begin with a line end", () => {
  const head = 'content-disposition: form-data; name="a"\r\n\r\n';
  assert.deepEqual(
    parse(`\r\n--b \t\r\n${head}\r\n--b\r\n${head}\r\n--b--`).map(({ content }) => content),
    ["", ""],
  );
});

for (const [written, name, file] of [
  ['name="a%22b"', "a%22b", false],
  ['name="a\\"b"', 'a"b', false],
  ['name="a;b"; filename="c:\\dir\\x"', "a;b", true],
  ["NAME=a; filename*=utf-8''x", "a", true],
  ['name="a" ; filename=""', "a", true],
  ['name="m[key]"', "m[key]", false],
  ['name=""', "", false],
] as const) {
  test(`a part with ${written} is named ${JSON.stringify(name)}`, () => {
    const [part] = parse(`--b\r\ncontent-disposition: form-data; ${written}\r\n\r\n\r\n--b--`);
    assert.deepEqual([part?.name, part?.file], [name, file]);
  });
}

test("the name of a part is read as UTF-8", () => {
  const name = Buffer.from("größe").toString("latin1");
  assert.equal(parse(`${field(name, "1")}--b--`)[0]?.name, "größe");
});

const disposition = "content-disposition: form-data; name=a";
for (const [what, body, expected] of [
  [
    "another boundary",
    field("a", "1").replace("--b", "--c"),
    /^400 MALFORMED_FORM: the form does not begin with its boundary; expected "--b"/,
  ],
  ["text before the first boundary", `hello\r\n${field("a", "1")}--b--`, /does not begin with its boundary/],
  [
    "no final boundary",
    field("a", "1"),
    /the form ends in the middle of part "a" without its final boundary/,
  ],
  [
    "an end in the middle of a part",
    field("a", "1").slice(0, -2),
    /the form ends in the middle of part "a" without/,
  ],
  ["an end in the middle of a head", `--b\r\n${disposition}`, /ends without its final boundary/],
  ["nothing", "", /ends without its final boundary/],
  ["bytes behind the final boundary", `${field("a", "1")}--b--\r\nx`, /bytes follow the final boundary/],
  ["a boundary that goes on", `${field("a", "1")}--bb--`, /followed by neither a line end nor "--"/],
  ["a part without headers", "--b\r\n\r\nx\r\n--b--", /part 1 has no name/],
  ["a part without a name", "--b\r\ncontent-disposition: form-data\r\n\r\nx\r\n--b--", /part 1 has no name/],
  [
    "a part of another disposition",
    "--b\r\ncontent-disposition: attachment; name=a\r\n\r\nx\r\n--b--",
    /part 1 has no name/,
  ],
  [
    "two dispositions",
    `--b\r\n${disposition}\r\n${disposition}\r\n\r\nx\r\n--b--`,
    /part 1 has two content-disposition headers/,
  ],
  ["two names", `--b\r\n${disposition}; name=b\r\n\r\nx\r\n--b--`, /gives "name" twice/],
  [
    "parameters that end in a quote",
    '--b\r\ncontent-disposition: form-data; name="a\r\n\r\nx\r\n--b--',
    /cannot be read/,
  ],
  [
    "a folded header",
    `--b\r\n${disposition};\r\n filename=x\r\n\r\nx\r\n--b--`,
    /a header of part 1 is not valid/,
  ],
  [
    "a line feed in a header",
    `--b\r\n${disposition}\nx: y\r\n\r\nx\r\n--b--`,
    /a header of part 1 is not valid/,
  ],
  [
    "a header without a colon",
    `--b\r\n${disposition}\r\nhello\r\n\r\nx\r\n--b--`,
    /a header of part 1 is not valid/,
  ],
  [
    "a head that is not UTF-8",
    '--b\r\ncontent-disposition: form-data; name="\xff"\r\n\r\nx\r\n--b--',
    /the headers of part 1 are not UTF-8/,
  ],
  [
    "a base64 part",
    `--b\r\n${disposition}\r\ncontent-transfer-encoding: base64\r\n\r\nx\r\n--b--`,
    /part "a" has a content-transfer-encoding/,
  ],
  [
    "a long name",
    `${field("n".repeat(257), "1")}--b--`,
    /the name of part 1 has 257 characters, at most 256/,
  ],
  [
    "huge headers",
    `--b\r\n${disposition}\r\nx: ${"y".repeat(9000)}\r\n\r\nx\r\n--b--`,
    /the headers of part 1 are limited to 8192 bytes/,
  ],
  [
    "headers without end",
    `--b\r\n${"x: y\r\n".repeat(5000)}`,
    /the headers of part 1 are limited to 8192 bytes/,
  ],
] as const) {
  test(`a form with ${what} is refused, however it is cut into pieces`, () => {
    for (const size of [1, 7, 64, 1 << 20])
      assert.match(
        errorOf(() => parse(body, { size })),
        expected,
      );
  });
}

test("10,000 parts are refused at the first one too many", () => {
  const body = `${field("a", "1").repeat(10_000)}--b--`;
  assert.equal(
    errorOf(() => parse(body)),
    "413 BODY_TOO_LARGE: the form is limited to 100 parts",
  );
  assert.equal(parse(`${field("a", "1").repeat(100)}--b--`).length, 100);
});

test("content that looks like a boundary again and again costs time in proportion to its size", () => {
  const content = "\r\n--bounda".repeat(200_000);
  const body = `--boundary\r\n${disposition}\r\n\r\n${content}\r\n--boundary--`;
  const [part] = parse(body, { boundary: "boundary", size: 16_384 });
  assert.equal(part?.content, content);
});

test("any parts written as a form are read as they were written, however they are cut into pieces", () => {
  const piece = fc.oneof(
    fc.constantFrom("\r", "\n", "-", "--", "--b", "\r\n--", "\r\n--a", "\0"),
    fc.string(),
  );
  const content = fc.array(piece, { maxLength: 20 }).map(pieces => pieces.join(""));
  const names = fc.stringMatching(/^[a-zA-Z0-9_.[\]-]{1,20}$/);
  fc.assert(
    fc.property(
      fc.array(fc.record({ name: names, content, file: fc.boolean() }), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 40 }),
      (parts, size) => {
        const latin = parts.map(part => ({ ...part, content: Buffer.from(part.content).toString("latin1") }));
        fc.pre(latin.every(part => !`\r\n${part.content}\r\n`.includes("\r\n--b")));
        const body = latin
          .map(part => field(part.name, part.content, part.file ? '; filename="x"' : ""))
          .join("");
        assert.deepEqual(
          parse(`${body}--b--\r\n`, { size }).map(({ name, content: read, file }) => ({
            name,
            content: read,
            file,
          })),
          latin,
        );
      },
    ),
  );
});

test("bytes without sense never cause another error than that of a malformed form", () => {
  const piece = fc.oneof(
    fc.constantFrom("--b", "\r\n", "--", disposition, "; filename=x", ":", '"'),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), fc.integer({ min: 1, max: 20 }), (pieces, size) => {
      const error = errorOf(() => parse(Buffer.from(pieces.join("")).toString("latin1"), { size }));
      assert.match(error, /^no error$|^400 MALFORMED_FORM: /);
    }),
  );
});

for (const [contentType, boundary] of [
  ["multipart/form-data; boundary=abc", "abc"],
  ['multipart/form-data; charset=utf-8; boundary="a b:c"', "a b:c"],
  ["multipart/form-data; Boundary=----WebKitFormBoundary7MA4", "----WebKitFormBoundary7MA4"],
  ["multipart/form-data", undefined],
  ["multipart/form-data; boundary=", undefined],
  [`multipart/form-data; boundary=${"x".repeat(71)}`, undefined],
  ['multipart/form-data; boundary="a "', undefined],
  ["multipart/form-data; boundary=a; boundary=b", undefined],
  ["multipart/form-data; boundary=a%b", undefined],
] as const) {
  test(`the boundary of ${contentType.slice(0, 60)} is ${boundary ?? "refused"}`, () => {
    if (boundary !== undefined) assert.equal(boundaryOf(contentType), boundary);
    else
      assert.match(
        errorOf(() => boundaryOf(contentType)),
        /^400 MALFORMED_FORM: /,
      );
  });
}
