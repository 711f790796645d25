import { type Loaded, mapping, size } from "../config/schema.js";
import { Type } from "../config/type-builder.js";

/** `http.uploads`. */
export const UploadsSchema = mapping(
  {
    parts: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 100,
      description: "Most parts of a multipart body, or fields of a urlencoded one. From 1 to 10000.",
    }),
    file: size({ description: "Largest file in a multipart body.", default: "32MiB" }, 1, 1 << 30),
    body: size(
      {
        description:
          "Largest multipart body that is read as a whole, files included; what is not in files is limited as other bodies are.",
        default: "64MiB",
      },
      1,
      1 << 30,
    ),
  },
  "Forms as request bodies: multipart/form-data and application/x-www-form-urlencoded. Left out, they are refused.",
);

export type UploadsConfig = Loaded<typeof UploadsSchema>;
