import { repeatOnSource } from "../descriptor-source.js";

await repeatOnSource(import.meta.url, "protoc", ["compile", "rules"]);
