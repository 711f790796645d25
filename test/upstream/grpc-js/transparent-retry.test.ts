import "./use-grpc-js.js";
import "../transparent-retry.test.js";
