import { repeatOnUws } from "../engine.js";

await repeatOnUws(import.meta.url, ["multipart.test.ts", "turns.test.ts"]);
