import { repeatOnUws } from "../engine.js";

await repeatOnUws(import.meta.url);
