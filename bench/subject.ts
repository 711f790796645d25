/** The subject: the gateway with the messaging example in front of the backend of this run. */
import { fileURLToPath } from "node:url";
import { startGateway } from "../src/gateway/gateway.js";

const config = fileURLToPath(new URL("../config/examples/messaging.yaml", import.meta.url));
const gateway = await startGateway(config, {
  env: { HTTP_PORT: "0", ADMIN_PORT: "0", DEMO_BACKEND_PORT: process.env.BACKEND_PORT },
  // The naive rival writes no log either; lines are made and thrown away.
  logTo: { write: () => undefined },
});
process.stdout.write(`listening ${gateway.httpPort}\n`);
