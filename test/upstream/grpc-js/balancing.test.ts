import "./use-grpc-js.js";
import "../balancing.test.js";
