import { repeatOnUws } from "../engine.js";

await repeatOnUws(import.meta.url, ["browser.test.ts", "modules.test.ts"]);
