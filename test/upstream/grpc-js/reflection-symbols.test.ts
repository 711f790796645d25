import "./use-grpc-js.js";
import "../reflection-symbols.test.js";
