import { repeatOnUws } from "../engine.js";

await repeatOnUws(import.meta.url, ["accept-encoding.test.ts", "config.test.ts", "expanded-request.test.ts"]);
