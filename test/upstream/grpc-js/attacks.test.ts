import "./use-grpc-js.js";
import "../attacks.test.js";
