/** The upstream of both: the demo's gRPC server. */
import { startDemoBackend } from "../src/demo/backend.js";

const backend = await startDemoBackend();
process.stdout.write(`listening ${backend.port}\n`);
