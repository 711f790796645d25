import { repeatOnHttp2 } from "../engine.js";

await repeatOnHttp2(import.meta.url, [
  "answers",
  "bad-input",
  "cors",
  "detail-types",
  "guard-backends",
  "guards",
  "matrix",
  "metadata",
  "pass-through",
  "reflection",
  "tls-pass-through",
  "upstream-failures",
  "upstream-proxy",
  "validation",
]);
