import type { Findings } from "../config/findings.js";
import type { DraftOf, Loaded } from "../config/schema.js";
import { choice, listOf, mapping, section, size, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";
import { codings } from "./accept-encoding.js";
import { requestCodings } from "./expand.js";

/** Types that are compressed already, that must be sent at once, and bytes of unknown content. */
const excludedTypes = [
  "application/gzip",
  "application/octet-stream",
  "application/pdf",
  "application/vnd.rar",
  "application/x-7z-compressed",
  "application/x-bzip2",
  "application/x-gzip",
  "application/x-xz",
  "application/zip",
  "application/zstd",
  "audio/*",
  "font/woff",
  "font/woff2",
  "image/avif",
  "image/gif",
  "image/heic",
  "image/jpeg",
  "image/png",
  "image/webp",
  "text/event-stream",
  "video/*",
];

/** `http.compression`. */
export const CompressionSchema = mapping(
  {
    encodings: Type.Unsafe<(typeof codings)[number][]>({
      ...listOf(choice(codings, { description: "A content coding." }), {
        description: "Encodings of responses. Of those that the client weighs equally, the first is used.",
        default: ["br", "gzip"],
      }),
      minItems: 1,
    }),
    min_size: size({ description: "Shorter responses are sent as they are.", default: "1KiB" }, 0, 1 << 30),
    quality: section(
      {
        br: Type.Integer({
          minimum: 0,
          maximum: 11,
          default: 4,
          description: "From 0, the fastest, to 11, the smallest.",
        }),
        gzip: Type.Integer({
          minimum: 1,
          maximum: 9,
          default: 4,
          description: "From 1, the fastest, to 9, the smallest.",
        }),
      },
      "Compression levels.",
    ),
    exclude: section(
      {
        content_types: listOf(
          text("nonempty", {
            description: "A content type such as image/png, or image/* for all of a kind.",
          }),
          {
            description:
              "Responses of these types are never compressed. A list replaces the default, which has what is compressed already, application/octet-stream and text/event-stream.",
            default: excludedTypes,
          },
        ),
        routes: listOf(text("nonempty", { description: "A glob over paths, as in `auth.policies`." }), {
          description:
            "Responses of these routes are never compressed, such as those that hold a secret beside what the client has sent.",
          default: [],
        }),
      },
      "Responses that are never compressed.",
    ),
    requests: listOf(choice(requestCodings, { description: "A content coding." }), {
      description:
        "Which codings of request bodies are taken; [] for none. `http.limits.body` bounds the body expanded.",
      default: ["gzip", "deflate", "br"],
    }),
  },
  "Compression of responses and of request bodies. Left out, nothing is compressed and compressed request bodies are refused.",
);

export type CompressionConfig = Loaded<typeof CompressionSchema>;

/** Checks `http.compression`. */
export function checkCompression(draft: DraftOf<CompressionConfig> | undefined, findings: Findings): void {
  const at = ["http", "compression", "exclude"];
  draft?.exclude?.content_types?.forEach((type, index) => {
    if (type === undefined || /^[a-z0-9!#$&^_.+-]+\/([a-z0-9!#$&^_.+-]+|\*)$/i.test(type)) return;
    const path = [...at, "content_types", index];
    findings.error(
      path,
      `expected a content type such as image/png or image/*, found ${findings.show(path, type)}`,
    );
  });
  draft?.exclude?.routes?.forEach((glob, index) => {
    if (glob === undefined || glob.startsWith("/")) return;
    const path = [...at, "routes", index];
    findings.error(path, `expected a glob that begins with /, found ${findings.show(path, glob)}`);
  });
}
