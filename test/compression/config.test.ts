import assert from "node:assert/strict";
import { test } from "node:test";
import { Workspace } from "../config/workspace.js";

function problems(compression: string): readonly string[] {
  return new Workspace().problems(
    `listeners: { http: { address: 127.0.0.1:0 } }\nhttp: { compression: ${compression} }\n`,
  );
}

for (const [written, expected] of [
  ["{}", undefined],
  ["{ encodings: [gzip], min_size: 0, requests: [], exclude: { content_types: [text/*] } }", undefined],
  ["{ encodings: [zstd] }", /encodings\[0\]/],
  ["{ encodings: [] }", /encodings/],
  ["{ quality: { gzip: 0 } }", /quality\.gzip/],
  [
    "{ exclude: { content_types: [png] } }",
    /expected a content type such as image\/png or image\/\*, found "png"/,
  ],
  ["{ exclude: { content_types: ['*/*'] } }", /expected a content type/],
  ["{ exclude: { routes: [admin/**] } }", /expected a glob that begins with \/, found "admin\/\*\*"/],
  ["{ minsize: 1KiB }", /min_size/],
] as const) {
  test(`http.compression ${written} ${expected === undefined ? "is valid" : "is refused"}`, () => {
    const found = problems(written);
    if (expected === undefined) assert.deepEqual(found, []);
    else assert.match(found.join("\n"), expected);
  });
}
