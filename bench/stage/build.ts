import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { root } from "../repository.js";

const run = promisify(execFile);

/** Bundles the gateway into `dist/`, and compiles its modules into `build/`. @throws Error with what the compiler said */
export async function buildGateway(): Promise<void> {
  try {
    await run("npm", ["run", "build", "--silent"], { cwd: root });
    await run("npm", ["run", "compile", "--silent"], { cwd: root });
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout?: string; readonly stderr?: string };
    throw new Error(`the gateway does not compile:\n${stdout ?? ""}${stderr ?? String(error)}`);
  }
}
