/** What the primary starts. What a worker loads comes after the settings of V8 for that. */
import { holdYoungGeneration } from "../../net/young-generation.js";

holdYoungGeneration();
const { runWorker } = await import("./worker-gateway.js");
runWorker();
