import { repeatOnUws } from "../engine.js";

// gRPC needs HTTP/2, and readers know no engine.
await repeatOnUws(import.meta.url, [
  "grpc.test.ts",
  "own-services.test.ts",
  "pass-through.test.ts",
  "readers.test.ts",
]);
