import { repeatOnSource } from "../descriptor-source.js";

await repeatOnSource(import.meta.url, "set", [
  "decode",
  "encode",
  "field-codec",
  "random-schema",
  "request",
  "well-known",
]);
