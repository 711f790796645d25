import "./use-grpc-js.js";
import "../unary.test.js";
