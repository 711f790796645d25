import { repeatOnSource } from "../descriptor-source.js";

await repeatOnSource(import.meta.url, "protoc", ["blog", "killrchat", "messaging", "openim"]);
