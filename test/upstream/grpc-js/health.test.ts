import "./use-grpc-js.js";
import "../health.test.js";
