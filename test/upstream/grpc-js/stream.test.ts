import "./use-grpc-js.js";
import "../stream.test.js";
