import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { root } from "../repository.js";

const run = promisify(execFile);

/** Compiles the gateway into dist/. @throws Error with what the compiler said */
export async function buildGateway(): Promise<void> {
  try {
    await run("npm", ["run", "build", "--silent"], { cwd: root });
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout?: string; readonly stderr?: string };
    throw new Error(`the gateway does not compile:\n${stdout ?? ""}${stderr ?? String(error)}`);
  }
}
