import { join, resolve } from "node:path";

/** Whether the tests run compiled, as `npm test` does, and not through tsx. */
export const isCompiled = import.meta.filename.endsWith(".js");

/** The folder of the project, which `import.meta.dirname` does not lead to from compiled tests. */
export const root = resolve(import.meta.dirname, isCompiled ? "../.." : "..");

/** The options of Node.js that a script of the project needs. */
export const scriptOptions: readonly string[] = isCompiled ? ["--enable-source-maps"] : ["--import", "tsx"];

/** The file to run for a script such as `src/main.ts`. */
export function scriptFile(path: string): string {
  return isCompiled ? join(root, "build", path.replace(/\.ts$/, ".js")) : join(root, path);
}

/** What Node.js is started with to run a script such as `src/main.ts`. */
export function scriptArguments(path: string): readonly string[] {
  return [...scriptOptions, scriptFile(path)];
}
