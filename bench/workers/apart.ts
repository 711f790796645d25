/** Two gateways of one process each that know nothing of each other, on the ports that PORTS names. */
import { spawn } from "node:child_process";

const [, , ...args] = process.argv;
// Their control probes end them when this process ends.
for (const port of (process.env.PORTS ?? "").split(","))
  spawn(process.execPath, args, {
    env: { ...process.env, HTTP_PORT: port },
    stdio: ["ignore", "ignore", "inherit", "pipe"],
  });
