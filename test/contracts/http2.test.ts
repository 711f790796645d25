import { repeatOnHttp2 } from "../engine.js";

await repeatOnHttp2(import.meta.url, [
  "blog",
  "killrchat",
  "messaging",
  "openim",
  "openim-metadata",
  "openim-variants",
]);
