import { repeatOnSource } from "../descriptor-source.js";

await repeatOnSource(import.meta.url, "protoc", [
  "answers",
  "bad-input",
  "guards",
  "lifecycle",
  "messages",
  "metadata",
  "validation",
]);
