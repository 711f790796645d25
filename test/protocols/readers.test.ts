import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { readGetParameters } from "../../src/protocols/connect/query.js";
import { EnvelopeReader } from "../../src/protocols/envelope.js";
import { percentEncoded } from "../../src/protocols/grpc-status.js";
import { Base64Reader } from "../../src/protocols/grpc-web/grpc-web.js";
import { plainMessages } from "../../src/protocols/messages.js";
import { GatewayError } from "../../src/status/failure.js";
import { enveloped } from "./client.js";

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map(each => Buffer.from(each));

/** The same bytes in pieces, cut where `cuts` say. */
function pieces(whole: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map(cut => cut % (whole.length + 1)))].sort((one, two) => one - two);
  const edges = [0, ...places, whole.length];
  return edges.slice(1).map((edge, index) => Buffer.from(whole.subarray(edges[index], edge)));
}
const cuts = fc.array(fc.nat(), { maxLength: 12 });

test("envelopes come out whole and in order, however the body is cut", () => {
  const envelopes = fc.array(fc.tuple(fc.integer({ min: 0, max: 255 }), bytes(300)), { maxLength: 8 });
  fc.assert(
    fc.property(envelopes, cuts, (sent, at) => {
      const reader = new EnvelopeReader(300);
      const received: [number, Buffer][] = [];
      const body = Buffer.concat(sent.map(([flags, message]) => enveloped(flags, message)));
      for (const piece of pieces(body, at)) {
        reader.feed(piece);
        for (let each = reader.next(); each !== undefined; each = reader.next())
          received.push([reader.flags, Buffer.from(each)]);
      }
      reader.end();
      assert.deepEqual(received, sent);
    }),
  );
});

test("messages come out decompressed and in order, however the body is cut", async () => {
  const messages = fc.array(fc.tuple(fc.boolean(), bytes(6000)), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(messages, cuts, async (sent, at) => {
      const reader = plainMessages("gzip", 8000);
      const received: Buffer[] = [];
      const body = Buffer.concat(
        sent.map(([packed, message]) => enveloped(packed ? 1 : 0, packed ? gzipSync(message) : message)),
      );
      for (const piece of pieces(body, at))
        await reader.push(piece, message => {
          received.push(Buffer.from(message));
          return undefined;
        });
      reader.end();
      assert.deepEqual(
        received,
        sent.map(([, message]) => message),
      );
    }),
    { numRuns: 50 },
  );
});

test("a body that ends within an envelope is malformed wherever it ends", () => {
  fc.assert(
    fc.property(bytes(50), fc.nat(), (message, cut) => {
      const whole = enveloped(0, message);
      const reader = new EnvelopeReader(50);
      const kept = cut % whole.length;
      reader.feed(whole.subarray(0, kept));
      assert.equal(reader.next(), undefined);
      if (kept === 0) reader.end();
      else assert.throws(() => reader.end(), GatewayError);
    }),
  );
});

test("arbitrary bytes give envelopes within the limit or a GatewayError, and nothing else", () => {
  fc.assert(
    fc.property(fc.array(bytes(40), { maxLength: 6 }), chunks => {
      const reader = new EnvelopeReader(64);
      try {
        for (const chunk of chunks) {
          reader.feed(chunk);
          for (let each = reader.next(); each !== undefined; each = reader.next())
            assert.ok(each.length <= 64);
        }
        reader.end();
      } catch (error) {
        assert.ok(error instanceof GatewayError, String(error));
      }
    }),
  );
});

test("base64 is decoded however it is cut and whichever of its parts are padded", () => {
  fc.assert(
    fc.property(fc.array(bytes(40), { maxLength: 6 }), cuts, (parts, at) => {
      const reader = new Base64Reader();
      const text = Buffer.from(parts.map(part => part.toString("base64")).join(""));
      const decoded = pieces(text, at).map(piece => reader.push(piece));
      reader.end();
      assert.deepEqual(Buffer.concat(decoded), Buffer.concat(parts));
    }),
  );
});

test("text that is not base64 is a GatewayError", () => {
  for (const text of ["A", "AA=A", "A===", "====", "A-AA", "AAAA\n", "é"]) {
    assert.throws(() => {
      const reader = new Base64Reader();
      reader.push(Buffer.from(text));
      reader.end();
    }, GatewayError);
  }
});

test("grpc-message is printable ASCII that decodes to the text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), text => {
      const encoded = percentEncoded(text);
      assert.match(encoded, /^[\x20-\x7e]*$/);
      assert.equal(decodeURIComponent(encoded), Buffer.from(text, "utf8").toString("utf8"));
    }),
  );
});

test("the message of a Connect GET is read from percent-encoded bytes and from base64", () => {
  fc.assert(
    fc.property(bytes(60), message => {
      const escaped = [...message].map(byte => `%${byte.toString(16).padStart(2, "0")}`).join("");
      const plain = readGetParameters(`connect=v1&encoding=proto&message=${escaped}&other=%zz`);
      assert.deepEqual(plain.message, message);
      const base64 = message.toString("base64url");
      assert.deepEqual(readGetParameters(`message=${base64}&base64=1`).message, message);
    }),
  );
  for (const query of ["message=%4", "message=*&base64=1", "encoding=a&encoding=b"])
    assert.throws(() => readGetParameters(query), GatewayError);
});
