import { choice, type Loaded, section } from "../../config/schema.js";
import { Type } from "../../config/type-builder.js";

/** `reload`. */
export const ReloadSchema = section(
  {
    watch: Type.Boolean({
      default: false,
      description:
        "Load the configuration again when a file changes that it is made of: itself, descriptors, certificates, keys, secrets.",
    }),
    breaking: choice(["allow", "warn", "refuse"], {
      default: "warn",
      description:
        "What becomes of a reload that takes routes away from clients: `refuse` keeps the previous configuration.",
    }),
  },
  "How a running gateway takes a new configuration.",
);

export type ReloadConfig = Loaded<typeof ReloadSchema>;
