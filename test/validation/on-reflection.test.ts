import { repeatOnSource } from "../descriptor-source.js";

await repeatOnSource(import.meta.url, "reflection", ["compile", "rules"]);
