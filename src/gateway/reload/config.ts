import { choice, type Loaded, section } from "../../config/schema.js";
import { Type } from "../../config/type-builder.js";

/** `reload`. */
export const ReloadSchema = section(
  {
    watch: Type.Boolean({
      default: false,
      description:
        "Reload when one of the files of the configuration changes: YAML files, descriptors, certificates, keys, secrets.",
    }),
    breaking: choice(["allow", "warn", "refuse"], {
      default: "warn",
      description:
        "What happens to a reload that removes routes: `warn` logs them, `refuse` keeps the previous configuration.",
    }),
  },
  "How a running gateway reloads its configuration.",
);

export type ReloadConfig = Loaded<typeof ReloadSchema>;
