import "./use-grpc-js.js";
import "../retry.test.js";
