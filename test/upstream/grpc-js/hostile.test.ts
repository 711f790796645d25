import "./use-grpc-js.js";
import "../hostile.test.js";
