import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { acceptDeflate } from "../../src/realtime/sockets/portable-upgrade.js";

const accepted = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

const offers: readonly [offer: string | undefined, response: string | undefined][] = [
  [undefined, undefined],
  ["", undefined],
  ["permessage-deflate", accepted],
  ["permessage-deflate; client_max_window_bits", accepted],
  ["permessage-deflate;client_max_window_bits=10;server_no_context_takeover", accepted],
  ['permessage-deflate; client_max_window_bits="12"', accepted],
  ["permessage-deflate; server_max_window_bits=15", `${accepted}; server_max_window_bits=15`],
  ["x-webkit-deflate-frame, permessage-deflate", accepted],
  ["permessage-deflate; server_max_window_bits=10", undefined],
  ["permessage-deflate; server_max_window_bits=10, permessage-deflate", accepted],
  ["permessage-deflate; server_max_window_bits", undefined],
  ["permessage-deflate; server_max_window_bits=16", undefined],
  ["permessage-deflate; server_max_window_bits=015", undefined],
  ["permessage-deflate; client_max_window_bits=7", undefined],
  ["permessage-deflate; client_no_context_takeover=1", undefined],
  ["permessage-deflate; client_no_context_takeover; client_no_context_takeover", undefined],
  ["permessage-deflate; foo=1", undefined],
  ["permessage-deflate;", undefined],
  ["permessage-deflate2", undefined],
];

for (const [offer, response] of offers) {
  const what = response === undefined ? "declined" : `accepted as "${response}"`;
  test(`the extension offer ${JSON.stringify(offer ?? null)} is ${what}`, () => {
    assert.equal(acceptDeflate(offer)?.response, response);
  });
}

test("the response to any offer of a client is undefined or one that can go into a header", () => {
  const part = fc.constantFrom(
    "permessage-deflate",
    ";",
    ",",
    "=",
    '"',
    " ",
    "server_max_window_bits",
    "15",
    "x",
  );
  fc.assert(
    fc.property(
      fc.array(part).map(parts => parts.join("")),
      offer => {
        const response = acceptDeflate(offer)?.response;
        assert.ok(response === undefined || response.startsWith(accepted));
      },
    ),
  );
});
