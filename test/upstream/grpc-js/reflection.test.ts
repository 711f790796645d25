import "./use-grpc-js.js";
import "../reflection.test.js";
