import { readdirSync } from "node:fs";
import { repeatOnUws } from "../engine.js";

// What is made without a gateway is the same on every engine.
const others = readdirSync(import.meta.dirname).filter(name => name !== "served.test.ts");

await repeatOnUws(import.meta.url, others);
