import { repeatOnUws } from "../engine.js";

// These need no gateway, or one that runs as a process of its own.
await repeatOnUws(import.meta.url, [
  "browser.test.ts",
  "browser-fallback.test.ts",
  "client.test.ts",
  "fallback.test.ts",
  "package.test.ts",
]);
